// Counts what a step does to a device.
#pragma once

#include <ATen/record_function.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sartor::testing {

struct StepCounts {
  // Operators that are not called by another operator, without those that only allocate or return a view: about one
  // kernel launch each. Copies between host and device are counted, too.
  int64_t operators = 0;
  int64_t copies_in = 0;  // from host to device
  int64_t groups_in = 0;  // runs of them without another operator in between
  int64_t copies_out = 0;
  std::map<std::string, int64_t> names;  // operators by name, such as "aten::mm"
  std::vector<int64_t> reductions;       // number of elements of each sum over the ranks

  int64_t of(const std::string& name) const;
  std::string text() const;  // "3 aten::mm, 1 aten::add, ..."
};

// Observes the operators of all threads while it exists.
class StepObserver {
 public:
  StepObserver();
  ~StepObserver();
  StepObserver(const StepObserver&) = delete;
  StepObserver& operator=(const StepObserver&) = delete;

  StepCounts take();  // counts since the last call

  struct Shared;  // state shared with the callbacks

 private:
  std::shared_ptr<Shared> shared_;
  at::CallbackHandle handle_;
};

}  // namespace sartor::testing
