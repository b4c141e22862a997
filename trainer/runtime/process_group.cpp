#include "runtime/process_group.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "base/numbers.h"
#include "base/require.h"
#include "runtime/signals.h"
#include "runtime/torch_module.h"

namespace sartor {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// How long a rank that received a stop signal waits for a message of rank 0; and how long rank 0, if it hosts the
// store, waits before it exits for the others to read its messages.
constexpr seconds patience{5};

constexpr const char* heard_key = "texts-heard";  // store key: number of texts that ranks have read

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

uint16_t master_port() {
  const auto text = environment("MASTER_PORT");
  const auto port = parse_number<uint16_t>(text);
  require(port.has_value(), "MASTER_PORT is '{}', expected a port; torchrun sets it", text);
  return *port;
}

bool serves_store(const Ranks& ranks) {
  return ranks.rank == 0 && environment("TORCHELASTIC_USE_AGENT_STORE") != "True";
}

// torchrun's store keeps the keys of failed starts, so each restart uses its own prefix.
c10::intrusive_ptr<c10d::Store> open_store(const Ranks& ranks, seconds timeout) {
  const auto host = environment("MASTER_ADDR");
  require(!host.empty(), "WORLD_SIZE is {} but MASTER_ADDR is not set; start the processes with torchrun",
          ranks.world_size);
  c10d::TCPStoreOptions options;
  options.port = master_port();
  options.isServer = serves_store(ranks);
  options.numWorkers = ranks.world_size;
  options.timeout = timeout;
  auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
  return c10::make_intrusive<c10d::PrefixStore>("sartor-" + environment("TORCHELASTIC_RESTART_COUNT"), store);
}

// Unlike Store::wait(), this returns on a stop signal, which torchrun sends when rank 0 has died.
void wait_for(c10d::Store& store, const std::string& key, seconds timeout) {
  const auto begin = Clock::now();
  std::optional<Clock::time_point> asked_to_stop;
  for (milliseconds pause{1}; !store.check({key}); pause = std::min(2 * pause, milliseconds(100))) {
    const auto now = Clock::now();
    const int signal = stop_signal();
    if (signal != 0 && !asked_to_stop) asked_to_stop = now;
    if (asked_to_stop && now - *asked_to_stop > patience) {
      throw Stopped(signal, fmt::format("stopped by {} while waiting for rank 0", signal_name(signal)));
    }
    if (now - begin > timeout) {
      throw std::runtime_error(fmt::format("rank 0 did not respond within {} seconds", timeout.count()));
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

struct ProcessGroup::Joined {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  c10::intrusive_ptr<c10d::Backend> nccl;  // null on the CPU
  bool serves_store = false;
  seconds timeout{};
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
  joined_ = std::make_unique<Joined>(Joined{store, std::move(group), std::move(nccl), serves_store(ranks), timeout});
}

ProcessGroup::~ProcessGroup() {
  if (!joined_) return;
  try {
    close_nccl();
    if (joined_->serves_store) wait_until_heard();
  } catch (const std::exception&) {  // network errors no longer matter
  }
}

// Shuts NCCL down, or aborts it without waiting for the other ranks if an exception is being handled.
void ProcessGroup::close_nccl() {
  if (!joined_->nccl) return;
  if (std::uncaught_exceptions() > exceptions_) {
    joined_->nccl->abort();
  } else {
    joined_->nccl->shutdown();
  }
}

// Waits until the other ranks have read all texts, because the store ends with this process.
void ProcessGroup::wait_until_heard() {
  const auto end = Clock::now() + patience;
  while (joined_->store->add(heard_key, 0) < told_ * (size_ - 1) && Clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(5));
  }
}

c10d::ProcessGroup* ProcessGroup::group() { return joined_ ? joined_->group.get() : nullptr; }

std::string ProcessGroup::from_first(const std::string& text) {
  if (!joined_) return text;
  auto& store = *joined_->store;
  const auto key = fmt::format("text-{}", told_++);
  if (first()) {
    store.set(key, std::vector<uint8_t>(text.begin(), text.end()));
    return text;
  }
  wait_for(store, key, joined_->timeout);
  const auto bytes = store.get(key);
  store.add(heard_key, 1);
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
