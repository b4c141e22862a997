// Communication between the processes of a run.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace sartor {

// All ranks must make the same calls in the same order.
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool first() const { return rank() == 0; }

  virtual std::string from_first(const std::string& text) = 0;      // returns the text of rank 0 on all ranks
  virtual std::vector<double> sum(std::vector<double> values) = 0;  // elementwise all-reduce
};

// A single process.
class Alone : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string from_first(const std::string& text) override { return text; }
  std::vector<double> sum(std::vector<double> values) override { return values; }
};

// Calls `work` on rank 0 and returns its result on all ranks. If `work` throws, the other ranks throw, too:
// std::invalid_argument if it threw that, otherwise std::runtime_error, with "rank 0: " before the message.
std::string on_first(Collective& ranks, const std::function<std::string()>& work);

}  // namespace sartor
