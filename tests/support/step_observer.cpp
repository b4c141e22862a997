#include "support/step_observer.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace sartor::testing {

struct StepObserver::Shared {
  std::mutex mutex;
  StepCounts counts;
  bool copying = false;  // whether the last operator was a copy from host to device
};

namespace {

// The callbacks are plain functions.
std::mutex current_mutex;
std::shared_ptr<StepObserver::Shared> current;

std::shared_ptr<StepObserver::Shared> shared() {
  const std::lock_guard lock(current_mutex);
  return current;
}

// An operator that is running on this thread.
struct Running {
  std::string name;
  // Whether it, or one that it called, does more than allocate or return a view, and whether it copies to the device.
  bool works, copies_in = false;
};
thread_local std::vector<Running> running;

struct Operator : at::ObserverContext {};

bool only_allocates(std::string_view name) {
  return name.starts_with("aten::empty") || name.starts_with("aten::new_empty") || name.starts_with("aten::resize_") ||
         name.starts_with("aten::set_") || name == "aten::requires_grad_";
}

bool returns_view(const c10::FunctionSchema& schema) {
  if (schema.returns().empty()) return false;
  const auto* alias = schema.returns()[0].alias_info();
  return alias && !alias->isWrite();
}

enum class Direction { none, in, out };
Direction direction_of(const at::RecordFunction& function) {
  if (std::string_view(function.name()) != "aten::copy_") return Direction::none;
  const auto inputs = function.inputs();
  if (inputs.size() < 2 || !inputs[0].isTensor() || !inputs[1].isTensor()) return Direction::none;
  const bool to_host = inputs[0].toTensor().is_cpu(), from_host = inputs[1].toTensor().is_cpu();
  if (to_host == from_host) return Direction::none;
  return to_host ? Direction::out : Direction::in;
}

// Elements of a sum over the ranks; 0 for other operators.
int64_t reduced(const at::RecordFunction& function) {
  if (std::string_view(function.name()) != "c10d::allreduce_") return 0;
  int64_t elements = 0;
  for (const at::Tensor& tensor : function.inputs()[0].toTensorVector()) elements += tensor.numel();
  return elements;
}

// Ranges without a schema, such as those of autograd's nodes, are not operators.
std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  const auto schema = function.operator_schema();
  if (!schema) return nullptr;
  const std::string_view name = function.name();
  running.push_back({std::string(name), !only_allocates(name) && !returns_view(*schema)});
  const auto direction = direction_of(function);
  running.back().copies_in = direction == Direction::in;
  if (const auto to = direction == Direction::none ? nullptr : shared()) {
    const std::lock_guard lock(to->mutex);
    if (direction == Direction::out) {
      to->counts.copies_out++;
    } else {
      to->counts.copies_in++;
      if (!std::exchange(to->copying, true)) to->counts.groups_in++;
    }
  }
  if (const int64_t elements = reduced(function)) {
    if (const auto to = shared()) {
      const std::lock_guard lock(to->mutex);
      to->counts.reductions.push_back(elements);
    }
  }
  return std::make_unique<Operator>();
}

void end(const at::RecordFunction&, at::ObserverContext* context) {
  if (!context || running.empty()) return;
  const auto [name, works, copies_in] = std::move(running.back());
  running.pop_back();
  if (!works) return;
  if (!running.empty()) {
    running.back().works = true;
    running.back().copies_in |= copies_in;
    return;
  }
  if (const auto to = shared()) {
    const std::lock_guard lock(to->mutex);
    to->counts.operators++;
    to->counts.names[name]++;
    if (!copies_in) to->copying = false;
  }
}

}  // namespace

int64_t StepCounts::of(const std::string& name) const {
  const auto found = names.find(name);
  return found == names.end() ? 0 : found->second;
}

std::string StepCounts::text() const {
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [name, count] : names) sorted.emplace_back(count, name);
  std::ranges::sort(sorted, std::greater{});
  std::string text;
  for (const auto& [count, name] : sorted) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
  return text;
}

StepObserver::StepObserver() : shared_(std::make_shared<Shared>()) {
  {
    const std::lock_guard lock(current_mutex);
    current = shared_;
  }
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(begin, end).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

StepObserver::~StepObserver() {
  at::removeCallback(handle_);
  const std::lock_guard lock(current_mutex);
  current = nullptr;
}

StepCounts StepObserver::take() {
  const std::lock_guard lock(shared_->mutex);
  shared_->copying = false;
  return std::exchange(shared_->counts, {});
}

}  // namespace sartor::testing
