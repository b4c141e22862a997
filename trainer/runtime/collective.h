// What the processes of a run tell each other and add up together.
#pragma once

#include <functional>
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

// A process by itself.
class Alone : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string from_first(const std::string& text) override { return text; }
  std::vector<double> sum(std::vector<double> values) override { return values; }
};

// Calls `work` on the first rank and returns its result on all of them. What it throws ends the others too, at once:
// std::invalid_argument if it is that, else std::runtime_error, with "rank 0: " before the message.
std::string on_first(Collective& ranks, const std::function<std::string()>& work);

}  // namespace sartor
