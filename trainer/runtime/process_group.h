// The processes of a run, connected through the network.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/collective.h"
#include "runtime/runtime.h"

namespace c10d {
class ProcessGroup;
}
namespace at {
class Tensor;
}

namespace sartor {

// A single rank uses no network. Network errors and timeouts are std::runtime_error. from_first() throws Stopped if
// this rank has received a stop signal and rank 0 does not respond within 5 seconds: when a rank dies, torchrun signals
// the others and kills them 30 seconds later.
class ProcessGroup : public Collective {
 public:
  // Connects the ranks through MASTER_ADDR and MASTER_PORT, which torchrun sets; NCCL transfers GPU tensors, Gloo CPU
  // tensors. A collective that takes longer than `timeout` fails. Throws std::invalid_argument if there are several
  // ranks and MASTER_ADDR or MASTER_PORT is missing.
  ProcessGroup(const Ranks& ranks, bool gpu, std::chrono::seconds timeout);
  ~ProcessGroup() override;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string from_first(const std::string& text) override;
  std::vector<double> sum(std::vector<double> values) override;
  using Collective::gather;
  void gather(std::span<float> all, std::span<const Part> parts) override;
  void pass(std::span<float> out, std::span<float> in) override;
  bool gathers_aside() const override { return true; }
  std::vector<std::string> gather_on_first(std::string bytes) override;
  int64_t next(const std::string& counter) override;
  Traffic traffic() const override { return traffic_; }

  void sum(const at::Tensor& tensor);                      // in place
  void copy_from_first(std::vector<at::Tensor>& tensors);  // in place

  c10d::ProcessGroup* group();  // null for a single rank

 private:
  struct Joined;

  // Calls `work`. Its errors get the rank, the step, `operation` and a rank that has gone before their message.
  void named(const std::string& operation, const std::function<void()>& work) const;
  std::string prefix(const std::string& operation) const;
  void close_nccl();
  void wait_until_heard();

  int rank_, size_;
  int exceptions_ = std::uncaught_exceptions();  // uncaught exceptions at construction
  Traffic traffic_;
  int64_t told_ = 0;  // number of texts that from_first() has sent
  Alone alone_;       // counters of a single rank
  std::unique_ptr<Joined> joined_;
};

}  // namespace sartor
