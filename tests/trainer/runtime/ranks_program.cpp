// A program that calls the operations of a ProcessGroup and prints what it finds, for tests with several ranks.
//
//   trainer_ranks_program gather 0 5 5 12    one offset more than ranks; prints all values
//   trainer_ranks_program pass 5 0 7         a number per rank of values that it passes on; prints those it gets
//   trainer_ranks_program texts              prints the size and the first byte of each rank's text
//   trainer_ranks_program count 1000         prints its share of the first 1000 numbers of a counter
//   trainer_ranks_program traffic 7 9        prints what two gathers of so many values per rank have sent
//   trainer_ranks_program die 2              rank 2 leaves without a word
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <stdexcept>

#include "runtime/process_group.h"

namespace sartor {
namespace {

// Rank r's part is 1000 r, 1000 r + 1, ...
void gather(Collective& ranks, std::span<const int64_t> offsets) {
  std::vector<float> all(offsets.back(), -1);
  const auto own = std::span(all).subspan(offsets[ranks.rank()], offsets[ranks.rank() + 1] - offsets[ranks.rank()]);
  std::iota(own.begin(), own.end(), 1000.0f * static_cast<float>(ranks.rank()));
  ranks.gather(all, offsets);
  double sum = 0;  // of long arrays, only the sum is printed
  for (const float value : all) sum += value;
  fmt::print("{} {}\n", sum, fmt::join(std::span(all).first(std::min<size_t>(all.size(), 20)), " "));
}

// Rank r passes on 1000 r, 1000 r + 1, ...
void pass(Collective& ranks, const std::vector<int64_t>& sizes) {
  std::vector<float> out(sizes[ranks.rank()]), in(sizes[(ranks.rank() + 1) % ranks.size()], -1);
  std::iota(out.begin(), out.end(), 1000.0f * static_cast<float>(ranks.rank()));
  ranks.pass(out, in);
  const double sum = std::accumulate(in.begin(), in.end(), 0.0);
  fmt::print("{} {} {}\n", in.size(), sum, ranks.traffic().sent);
}

void texts(Collective& ranks) {
  const std::string text(ranks.rank() * 3'000'000, static_cast<char>('a' + ranks.rank()));
  for (const auto& each : ranks.gather_on_first(text)) fmt::print("{}{} ", each.size(), each.substr(0, 1));
}

void count(Collective& ranks, int64_t numbers) {
  std::vector<int64_t> mine;
  for (int64_t next; (next = ranks.next("numbers")) < numbers;) mine.push_back(next);
  fmt::print("{}\n{}", ranks.next(fmt::format("of rank {}", ranks.rank())), fmt::join(mine, "\n"));
  ranks.sum({});  // rank 0 may hold the counters
}

void gather_each(Collective& ranks, int64_t values) {
  std::vector<float> all(ranks.size() * values);
  std::vector<int64_t> offsets;
  for (int rank = 0; rank <= ranks.size(); rank++) offsets.push_back(rank * values);
  ranks.gather(all, offsets);
}

void traffic(Collective& ranks, const std::vector<int64_t>& values) {
  for (const int64_t each : values) gather_each(ranks, each);
  fmt::print("{}", traffic_of_all(ranks));
}

void die(Collective& ranks, int64_t rank) {
  ranks.name_step("epoch 3");
  ranks.sum({1});
  if (ranks.rank() == rank) _exit(9);
  gather_each(ranks, 1);
}

void run(const std::string& what, const std::vector<int64_t>& numbers) {
  ProcessGroup ranks(Ranks::from_environment(), /*gpu=*/false, std::chrono::seconds(60));
  if (what == "gather") return gather(ranks, numbers);
  if (what == "pass") return pass(ranks, numbers);
  if (what == "texts") return texts(ranks);
  if (what == "count") return count(ranks, numbers.at(0));
  if (what == "traffic") return traffic(ranks, numbers);
  if (what == "die") return die(ranks, numbers.at(0));
  throw std::invalid_argument(what);
}

}  // namespace
}  // namespace sartor

int main(int argc, char** argv) {
  try {
    std::vector<int64_t> numbers;
    for (int at = 2; at < argc; at++) numbers.push_back(std::atoll(argv[at]));
    sartor::run(argv[1], numbers);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
