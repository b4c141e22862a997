// What the processes of a run tell each other and add up together.
#pragma once

#include <string>
#include <vector>

namespace sartor {

// Every rank makes the same calls in the same order.
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool first() const { return rank() == 0; }

  virtual std::string from_first(const std::string& text) = 0;      // what the first rank gives
  virtual std::vector<double> sum(std::vector<double> values) = 0;  // over the ranks; on all of them
};

}  // namespace sartor
