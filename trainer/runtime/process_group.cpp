#include "runtime/process_group.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "base/require.h"
#include "runtime/torch_module.h"

namespace sartor {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

uint16_t master_port() {
  const auto text = environment("MASTER_PORT");
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  require(!text.empty() && error == std::errc() && *end == 0, "MASTER_PORT is '{}', expected a port; torchrun sets it",
          text);
  return port;
}

// Keys of a start that failed stay in an agent's store: each start looks below a name of its own.
c10::intrusive_ptr<c10d::Store> open_store(const Ranks& ranks, std::chrono::seconds timeout) {
  const auto host = environment("MASTER_ADDR");
  require(!host.empty(), "WORLD_SIZE is {} but MASTER_ADDR is not set; start the processes with torchrun",
          ranks.world_size);
  c10d::TCPStoreOptions options;
  options.port = master_port();
  options.isServer = ranks.rank == 0 && environment("TORCHELASTIC_USE_AGENT_STORE") != "True";
  options.numWorkers = ranks.world_size;
  options.timeout = timeout;
  auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
  return c10::make_intrusive<c10d::PrefixStore>("sartor-" + environment("TORCHELASTIC_RESTART_COUNT"), store);
}

}  // namespace

struct ProcessGroup::Joined {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  c10::intrusive_ptr<c10d::Backend> nccl;  // null for CPUs
};

ProcessGroup::ProcessGroup(const Ranks& ranks, bool gpu, std::chrono::seconds timeout)
    : rank_(ranks.rank), size_(ranks.world_size) {
  if (size_ == 1) return;
  const auto store = open_store(ranks, timeout);
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, rank_, size_);
  using Type = c10d::ProcessGroup::BackendType;
  auto gloo_options = c10d::ProcessGroupGloo::Options::create_default(timeout);
  auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store), rank_,
                                                          size_, std::move(gloo_options));
  group->setBackend(c10::DeviceType::CPU, Type::GLOO, c10::intrusive_ptr<c10d::Backend>(std::move(gloo)));
  c10::intrusive_ptr<c10d::Backend> nccl;
  if (gpu) {
    const auto [module, why_not] = find_torch_module();
    if (!module) throw std::runtime_error(why_not);
    const auto nccl_store = c10::make_intrusive<c10d::PrefixStore>("nccl", store);
    nccl = c10::intrusive_ptr<c10d::Backend>::reclaim(module->make_nccl(nccl_store.get(), rank_, size_, timeout));
    group->setBackend(c10::DeviceType::CUDA, Type::NCCL, nccl);
  }
  joined_ = std::make_unique<Joined>(Joined{store, std::move(group), std::move(nccl)});
}

// NCCL's communicators are closed in order or, when an exception ends this rank, without waiting for the others.
ProcessGroup::~ProcessGroup() {
  if (!joined_ || !joined_->nccl) return;
  try {
    std::uncaught_exceptions() > exceptions_ ? joined_->nccl->abort() : joined_->nccl->shutdown();
  } catch (const std::exception&) {  // of the network, which nobody needs any more
  }
}

c10d::ProcessGroup* ProcessGroup::group() { return joined_ ? joined_->group.get() : nullptr; }

std::string ProcessGroup::from_first(const std::string& text) {
  if (!joined_) return text;
  const auto key = fmt::format("text-{}", told_++);
  if (first()) joined_->store->set(key, std::vector<uint8_t>(text.begin(), text.end()));
  const auto bytes = joined_->store->get(key);
  return {bytes.begin(), bytes.end()};
}

std::vector<double> ProcessGroup::sum(std::vector<double> values) {
  if (joined_) sum(at::from_blob(values.data(), {std::ssize(values)}, at::kDouble));
  return values;
}

void ProcessGroup::sum(const at::Tensor& tensor) {
  if (!joined_) return;
  std::vector<at::Tensor> tensors = {tensor};
  joined_->group->allreduce(tensors)->wait();
}

void ProcessGroup::copy_from_first(std::vector<at::Tensor>& tensors) {
  if (!joined_) return;
  for (auto& tensor : tensors) {
    std::vector<at::Tensor> one = {tensor};
    joined_->group->broadcast(one)->wait();
  }
}

}  // namespace sartor
