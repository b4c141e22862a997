// One named result of an evaluation, such as {"recall@10", 0.21}.
#pragma once

#include <string>

namespace sartor {

struct Metric {
  std::string name;
  double value;
};

}  // namespace sartor
