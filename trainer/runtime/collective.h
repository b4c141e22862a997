// Communication between the processes of a run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sartor {

// Bytes that gather() and pass() of a rank have sent, and the least that would have sufficed: a byte that is passed
// must reach one rank, one that is gathered all others, so that the ranks send at least (size - 1) / size of all parts
// each, on average.
struct Traffic {
  double sent = 0, least = 0;
};

// Elements begin to end - 1 of an array.
struct Part {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
};

// All ranks must make the same calls in the same order, except next(). Network errors are std::runtime_error and name
// the rank, the step, the operation and, if it is known, the rank that has gone.
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool first() const { return rank() == 0; }

  virtual std::string from_first(const std::string& text) = 0;      // returns the text of rank 0 on all ranks
  virtual std::vector<double> sum(std::vector<double> values) = 0;  // elementwise all-reduce

  // All-gather in place: `all` has one part per rank, parts[r] from rank r. Each rank has filled in its own part;
  // afterwards every rank has all of them. The parts do not overlap and are the same on all ranks. Needs no further
  // memory.
  virtual void gather(std::span<float> all, std::span<const Part> parts) = 0;

  // The same with elements offsets[r] to offsets[r + 1] - 1 from rank r. offsets (size() + 1) ascend.
  void gather(std::span<float> all, std::span<const int64_t> offsets) {
    std::vector<Part> parts;
    for (int rank = 0; rank < size(); rank++) parts.push_back({offsets[rank], offsets[rank + 1]});
    gather(all, parts);
  }
  // The same of indices.
  void gather(std::span<int32_t> all, std::span<const int64_t> offsets) {
    static_assert(sizeof(int32_t) == sizeof(float));  // the bytes travel as they are
    gather(std::span(reinterpret_cast<float*>(all.data()), all.size()), offsets);
  }

  // Sends `out` to the rank before, and receives `in` from the rank after, which is rank 0 for the last one. `in` has
  // the size of that rank's `out`.
  virtual void pass(std::span<float> out, std::span<float> in) = 0;

  // Whether gather() may run in another thread than the other calls, which wait for its end.
  virtual bool gathers_aside() const { return false; }

  // The bytes of each rank, on rank 0; empty on the others.
  virtual std::vector<std::string> gather_on_first(std::string bytes) = 0;

  // The next number of a counter that all ranks share: 0, 1, 2, ... in the order of the calls, each to one caller. A
  // rank may call it at any time before its last collective call, from one thread at a time. Counters start at 0 again
  // when torchrun has restarted the processes.
  virtual int64_t next(const std::string& counter) = 0;

  virtual Traffic traffic() const { return {}; }  // of this rank so far

  // Names what the following calls belong to in error messages: "epoch 3".
  void name_step(std::string step) { step_ = std::move(step); }

 protected:
  const std::string& step() const { return step_; }

 private:
  std::string step_;
};

// A single process.
class Alone : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string from_first(const std::string& text) override { return text; }
  std::vector<double> sum(std::vector<double> values) override { return values; }
  using Collective::gather;
  void gather(std::span<float>, std::span<const Part>) override {}
  void pass(std::span<float> out, std::span<float> in) override { std::ranges::copy(out, in.begin()); }
  std::vector<std::string> gather_on_first(std::string bytes) override { return {std::move(bytes)}; }
  int64_t next(const std::string& counter) override { return counters_[counter]++; }

 private:
  std::map<std::string, int64_t> counters_;
};

// Calls `work` on rank 0 and returns its result on all ranks. If `work` throws, the other ranks throw, too:
// std::invalid_argument if it threw that, otherwise std::runtime_error, with "rank 0: " before the message.
std::string on_first(Collective& ranks, const std::function<std::string()>& work);

// The traffic of all ranks in words. All must call it.
std::string traffic_of_all(Collective& ranks);

// A stop signal (signals.h) that any rank has received, or 0. All ranks get the same result.
int stop_signal_of_any(Collective& ranks);

}  // namespace sartor
