#include "runtime/process_group.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <type_traits>

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

constexpr seconds roll_call{10};  // how long ranks wait for the answers of the others after a failure

constexpr int64_t most_in_flight = 1 << 24;  // elements of one message of gather()

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

bool first_serves_store() { return environment("TORCHELASTIC_USE_AGENT_STORE") != "True"; }
bool serves_store(const Ranks& ranks) { return ranks.rank == 0 && first_serves_store(); }

// Whether something listens at MASTER_ADDR and MASTER_PORT. c10d would print a stack trace if it lost its connection.
bool store_listens() {
  addrinfo hints = {}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(environment("MASTER_ADDR").c_str(), environment("MASTER_PORT").c_str(), &hints, &found) != 0) {
    return false;
  }
  bool listens = false;
  for (const auto* at = found; at && !listens; at = at->ai_next) {
    const int connection = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (connection < 0) continue;
    const timeval limit = {.tv_sec = 5, .tv_usec = 0};
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));  // of connect(), too
    listens = connect(connection, at->ai_addr, at->ai_addrlen) == 0;
    close(connection);
  }
  freeaddrinfo(found);
  return listens;
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

  // Sends one array and receives another at the same time. Empty ones are omitted.
  template <class T> void exchange(std::span<T> out, int to, std::span<T> in, int from) {
    constexpr auto type = std::is_same_v<T, float> ? at::kFloat : at::kChar;
    std::vector<c10::intrusive_ptr<c10d::Work>> works;
    std::vector<at::Tensor> sent = {at::from_blob(out.data(), {std::ssize(out)}, type)};
    std::vector<at::Tensor> received = {at::from_blob(in.data(), {std::ssize(in)}, type)};
    if (!in.empty()) works.push_back(group->recv(received, from, /*tag=*/0));
    if (!out.empty()) works.push_back(group->send(sent, to, /*tag=*/0));
    for (const auto& work : works) work->wait();
  }

  // After a failure: the rank that has gone, which is the only one that does not answer a roll call through the store.
  // Closes the connections between ranks, so that ranks that wait for this one fail and answer, too.
  std::optional<int> find_gone(int self, int size) {
    group.reset();
    std::this_thread::sleep_for(milliseconds(200));  // sockets of a process that ends do not close all at once
    if (self != 0 && first_serves_store() && !store_listens()) return 0;
    try {
      const auto answer = [](int rank) { return fmt::format("answer-{}", rank); };
      store->set(answer(self), std::vector<uint8_t>{1});
      std::vector<int> silent;
      const auto end = Clock::now() + roll_call;
      do {
        silent.clear();
        for (int rank = 0; rank < size; rank++) {
          if (!store->check({answer(rank)})) silent.push_back(rank);
        }
        if (silent.size() <= 1) break;
        std::this_thread::sleep_for(milliseconds(5));
      } while (Clock::now() < end);
      const int64_t others = size - 1 - std::ssize(silent);
      store->add("roll-calls", serves_store ? 0 : 1);
      while (serves_store && store->add("roll-calls", 0) < others && Clock::now() < end + patience) {
        std::this_thread::sleep_for(milliseconds(5));  // the store ends with this process
      }
      if (silent.size() == 1) return silent[0];
    } catch (const std::exception&) {
      if (self != 0 && first_serves_store()) return 0;
    }
    return {};
  }
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
  // A rank that ended now would break the connections of others that are still being made.
  if (store->add("connected", 1) == size_) store->set("all-connected", std::vector<uint8_t>{1});
  wait_for(*store, "all-connected", timeout);
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
  try {
    wait_for(store, key, joined_->timeout);
    const auto bytes = store.get(key);
    store.add(heard_key, 1);
    return {bytes.begin(), bytes.end()};
  } catch (const c10::Error& error) {
    throw std::runtime_error(prefix("message of rank 0") + (first_serves_store() ? "rank 0 has gone: " : "") +
                             error.what_without_backtrace());
  }
}

void ProcessGroup::named(const std::string& operation, const std::function<void()>& work) const {
  try {
    work();
  } catch (const std::exception& error) {
    const auto gone = joined_->find_gone(rank_, size_);
    throw std::runtime_error(prefix(operation) + (gone ? fmt::format("rank {} has gone: ", *gone) : "") + error.what());
  }
}

std::string ProcessGroup::prefix(const std::string& operation) const {
  return fmt::format("rank {} of {}{}{}: {}: ", rank_, size_, step().empty() ? "" : ", ", step(), operation);
}

std::vector<double> ProcessGroup::sum(std::vector<double> values) {
  if (joined_) sum(at::from_blob(values.data(), {std::ssize(values)}, at::kDouble));
  return values;
}

void ProcessGroup::sum(const at::Tensor& tensor) {
  if (!joined_) return;
  std::vector<at::Tensor> tensors = {tensor};
  named("sum", [&] { joined_->group->allreduce(tensors)->wait(); });
}

void ProcessGroup::copy_from_first(std::vector<at::Tensor>& tensors) {
  if (!joined_) return;
  for (auto& tensor : tensors) {
    std::vector<at::Tensor> one = {tensor};
    named("copy", [&] { joined_->group->broadcast(one)->wait(); });
  }
}

// A ring: in each of size - 1 steps, every rank sends the part that it got last to its right neighbor. Each part
// travels directly between the arrays, in pieces.
void ProcessGroup::gather(std::span<float> all, std::span<const Part> parts) {
  if (!joined_) return;
  assert(std::ssize(parts) == size_);
  const int right = (rank_ + 1) % size_, left = (rank_ + size_ - 1) % size_;
  const auto piece = [&](int part, int64_t at) -> std::span<float> {
    const int64_t begin = std::min(parts[part].begin + at, parts[part].end);
    return all.subspan(begin, std::min(most_in_flight, parts[part].end - begin));
  };
  for (const Part& part : parts) {
    traffic_.least += static_cast<double>(part.size()) * sizeof(float) * (size_ - 1) / size_;
  }
  named("gather", [&] {
    for (int step = 0; step < size_ - 1; step++) {
      const int sent = (rank_ + size_ - step) % size_, received = (sent + size_ - 1) % size_;
      for (int64_t at = 0;; at += most_in_flight) {
        const auto out = piece(sent, at), in = piece(received, at);
        if (out.empty() && in.empty()) break;
        joined_->exchange(out, right, in, left);
        traffic_.sent += static_cast<double>(out.size_bytes());
      }
    }
  });
}

void ProcessGroup::pass(std::span<float> out, std::span<float> in) {
  if (!joined_) return alone_.pass(out, in);
  const int before = (rank_ + size_ - 1) % size_, after = (rank_ + 1) % size_;
  traffic_.sent += static_cast<double>(out.size_bytes());
  traffic_.least += static_cast<double>(out.size_bytes());
  named("pass", [&] {
    while (!out.empty() || !in.empty()) {
      const auto sent = out.first(std::min<size_t>(most_in_flight, out.size()));
      const auto received = in.first(std::min<size_t>(most_in_flight, in.size()));
      joined_->exchange(sent, before, received, after);
      out = out.subspan(sent.size());
      in = in.subspan(received.size());
    }
  });
}

std::vector<std::string> ProcessGroup::gather_on_first(std::string bytes) {
  if (!joined_) return alone_.gather_on_first(std::move(bytes));
  std::vector<double> sizes(size_);
  sizes[rank_] = static_cast<double>(bytes.size());
  sizes = sum(std::move(sizes));
  std::vector<std::string> gathered(first() ? size_ : 0);
  named("gather on rank 0", [&] {
    if (!first()) return joined_->exchange(std::span(bytes), 0, std::span<char>(), 0);
    for (int rank = 1; rank < size_; rank++) {
      gathered[rank].resize(static_cast<size_t>(sizes[rank]));
      joined_->exchange(std::span<char>(), rank, std::span(gathered[rank]), rank);
    }
    gathered[0] = std::move(bytes);
  });
  return gathered;
}

int64_t ProcessGroup::next(const std::string& counter) {
  if (!joined_) return alone_.next(counter);
  int64_t count = 0;
  named("counter " + counter, [&] { count = joined_->store->add("counter-" + counter, 1); });
  return count - 1;
}

}  // namespace sartor
