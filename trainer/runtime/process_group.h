// The processes of a run, joined through the network.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
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

// A rank alone needs no network: its calls return at once. Failures of the network, and ranks that do not come in time,
// are std::runtime_error. from_first() throws Stopped where a signal has asked this rank to stop and the first one does
// not come within 5 seconds: torchrun signals those that are left when one has died, and kills them 30 seconds later.
class ProcessGroup : public Collective {
 public:
  // Joins the ranks through MASTER_ADDR and MASTER_PORT, which torchrun sets; tensors on GPUs go through NCCL, others
  // through Gloo. A collective that takes longer than `timeout` fails. Throws std::invalid_argument if there are
  // several ranks and one of the two is missing.
  ProcessGroup(const Ranks& ranks, bool gpu, std::chrono::seconds timeout);
  ~ProcessGroup() override;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string from_first(const std::string& text) override;
  std::vector<double> sum(std::vector<double> values) override;

  void sum(const at::Tensor& tensor);                      // in place
  void copy_from_first(std::vector<at::Tensor>& tensors);  // in place

  c10d::ProcessGroup* group();  // null for a rank alone

 private:
  struct Joined;

  void close_nccl();
  void wait_until_heard();

  int rank_, size_;
  int exceptions_ = std::uncaught_exceptions();  // under way when the ranks joined
  int64_t told_ = 0;                             // texts
  std::unique_ptr<Joined> joined_;
};

}  // namespace sartor
