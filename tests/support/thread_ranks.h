// Ranks in threads of one process, without a network. Only one of them runs at a time, until it waits for the others,
// so that they may use libraries that are not safe for threads.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/collective.h"

namespace sartor::testing {

class ThreadRank : public Collective {
 public:
  struct Meeting {
    explicit Meeting(int size) : size(size), numbers(size), arrays(size), texts(size) {}

    const int size;
    std::mutex running;
    std::condition_variable changed;
    int waiting = 0;
    int64_t meetings = 0;
    bool failed = false;
    std::vector<std::vector<double>> numbers;
    std::vector<std::span<float>> arrays;
    std::vector<std::string> texts;
    std::map<std::string, int64_t> counters;
  };

 private:
  // All ranks put down what they have, then take what they need.
  template <class T, class Take> auto exchange(std::vector<T>& table, T mine, Take take) {
    table[rank_] = std::move(mine);
    meet();
    auto taken = take(table);
    meet();
    return taken;
  }
  void meet() {
    const auto meeting = all_.meetings;
    if (++all_.waiting == all_.size) {
      all_.waiting = 0;
      all_.meetings++;
      all_.changed.notify_all();
    }
    all_.changed.wait(running_, [&] { return all_.meetings != meeting || all_.failed; });
    if (all_.meetings == meeting) throw std::runtime_error("another rank has failed");
  }

 public:
  ThreadRank(int rank, Meeting& meeting) : rank_(rank), all_(meeting), running_(meeting.running) {}

  int rank() const override { return rank_; }
  int size() const override { return all_.size; }
  std::string from_first(const std::string& text) override {
    return exchange(all_.texts, text, [](const auto& texts) { return texts[0]; });
  }
  std::vector<double> sum(std::vector<double> values) override {
    return exchange(all_.numbers, std::move(values), [](const auto& numbers) {
      auto sums = numbers[0];
      for (size_t rank = 1; rank < numbers.size(); rank++) {
        std::ranges::transform(sums, numbers[rank], sums.begin(), std::plus());
      }
      return sums;
    });
  }
  using Collective::gather;
  void gather(std::span<float> all, std::span<const Part> parts) override {
    exchange(all_.arrays, all, [&](const auto& arrays) {
      for (int rank = 0; rank < size(); rank++) {
        if (rank == rank_) continue;
        std::copy_n(arrays[rank].begin() + parts[rank].begin, parts[rank].size(), all.begin() + parts[rank].begin);
      }
      return 0;
    });
  }
  void pass(std::span<float> out, std::span<float> in) override {
    exchange(all_.arrays, out, [&](const auto& arrays) {
      std::ranges::copy(arrays[(rank_ + 1) % size()], in.begin());
      return 0;
    });
  }
  std::vector<std::string> gather_on_first(std::string bytes) override {
    return exchange(all_.texts, std::move(bytes),
                    [&](const auto& texts) { return first() ? texts : std::vector<std::string>(); });
  }
  int64_t next(const std::string& counter) override { return all_.counters[counter]++; }

  // Wakes the ranks that wait for this one, which has failed.
  void fail() {
    all_.failed = true;
    all_.changed.notify_all();
  }

 private:
  int rank_;
  Meeting& all_;
  std::unique_lock<std::mutex> running_;
};

// Calls work(rank) on each of the ranks and returns the results. Throws what the first of those that failed threw.
template <class Work> auto on_threads(int size, Work work) {
  using Result = std::invoke_result_t<Work, Collective&>;
  ThreadRank::Meeting meeting(size);
  std::vector<std::future<Result>> running;
  for (int rank = 0; rank < size; rank++) {
    running.push_back(std::async(std::launch::async, [rank, &meeting, &work] {
      ThreadRank ranks(rank, meeting);
      try {
        return work(ranks);
      } catch (...) {
        ranks.fail();
        throw;
      }
    }));
  }
  for (auto& each : running) each.wait();
  std::vector<Result> results;
  for (auto& each : running) results.push_back(each.get());
  return results;
}

}  // namespace sartor::testing
