// Ranks that share the parts of a job: the same bytes for any number of them, whichever is slow or dies.
#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "integration/generate_fixture.h"
#include "integration/scoring_fixture.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Part of a job as tests/support/faults/delays.cpp logs it.
struct Ended {
  int rank = 0;
  double time = 0;  // milliseconds
};

// What ranks would need for all parts if all of them were busy to the end, and what they needed, in milliseconds.
struct Times {
  std::map<int, int64_t> parts;  // of each rank
  double ideal = 0, total = 0;

  explicit Times(const std::vector<Ended>& ended) {
    std::map<int, std::array<double, 2>> ranks;  // times of the first and the last part
    for (const auto& [rank, time] : ended) {
      if (parts[rank]++ == 0) ranks[rank][0] = time;
      ranks[rank][1] = time;
    }
    double speed = 0, begin = INFINITY, end = 0;
    for (const auto& [rank, times] : ranks) {
      const double per_part = (times[1] - times[0]) / static_cast<double>(parts[rank] - 1);
      speed += 1 / per_part;
      begin = std::min(begin, times[0] - per_part);
      end = std::max(end, times[1]);
    }
    ideal = static_cast<double>(ended.size()) / speed;
    total = end - begin;
  }
};

// Runs a job whose ranks take these milliseconds longer per part.
Times run_delayed(const std::vector<std::string>& command, const fs::path& log, const std::vector<int>& delays) {
  for (const auto& rank : on_ranks(static_cast<int>(delays.size()), command, delayed_ranks(delays, log))) {
    EXPECT_EQ(rank.status, 0) << rank.err;
  }
  std::vector<Ended> ended;
  std::ifstream file(log);
  for (Ended part; file >> part.rank >> part.time;) ended.push_back(part);
  fs::remove(log);
  return Times(ended);
}

void expect_shared(const Times& times, int64_t parts) {
  EXPECT_EQ(times.parts.at(0) + times.parts.at(1), parts);
  EXPECT_GT(times.parts.at(0), 3 * times.parts.at(1)) << "rank 1 is slow";
  EXPECT_GT(times.parts.at(1), 0);
  EXPECT_LE(times.total, 1.15 * times.ideal);
}

class SharedScoring : public Scoring {
 protected:
  SharedScoring() { write_texts(); }

  std::vector<std::string> command_of(const char* config, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--overwrite", "--set", "rows_per_part=1"});
    return command("sartor-infer", config, more);
  }
};

TEST_F(SharedScoring, IsTheSameForEverySource) {
  write("texts.csv", read("texts.csv") + "\n编号97,\"zwei\nlines\"\n");
  write("texts.jsonl", "{\"id\": 1, \"text\": \"很好\"}\n\n{\"id\": 2}\n{\n{\"id\": \"三\", \"text\": \"bad\\n坏\"}\n");
  expect_done(infer(classify_config, {"--set", "output=" + path("scored.parquet")}));
  for (const auto& [source, text] : {std::pair("texts.csv", "{text}"),
                                     {"texts.jsonl", "{text}"},
                                     {"scored.parquet", "{label}{id}"},
                                     {"texts.*", "{text}"}}) {
    SCOPED_TRACE(source);
    const auto words = command(
        "sartor-infer", classify_config,
        {"--set", "source.path=" + path(source), "--set", fmt::format("text='{}'", text), "--set", "rows_per_part=3"});
    expect_done(run_command(words));
    const auto expected = taken();
    for (const int ranks : {2, 4}) {
      for (const auto& rank : on_ranks(ranks, words)) expect_done(rank);
      EXPECT_EQ(taken(), expected) << ranks << " ranks";
    }
  }
}

TEST_F(SharedScoring, EmbeddingsAreTheSame) {
  expect_done(run_command(command_of(embed_config)));
  const auto expected = read("out.h5");
  for (const int ranks : {2, 4}) {
    for (const auto& rank : on_ranks(ranks, command_of(embed_config))) expect_done(rank);
    EXPECT_TRUE(read("out.h5") == expected) << ranks << " ranks";
  }
}

TEST_F(SharedScoring, ASlowRankLeavesItsPartsToTheOthers) {
  expect_done(run_command(command_of(classify_config)));
  const auto expected = read("out.csv");
  expect_shared(run_delayed(command_of(classify_config), path("log"), {20, 120}), 97);
  EXPECT_EQ(read("out.csv"), expected);
  expect_shared(run_delayed(command_of(embed_config), path("log"), {20, 120}), 97);
}

// A rank that took a part dies before it has written it. The other one processes all other parts, then fails; other
// numbers of ranks go on.
TEST_F(SharedScoring, ADeadRanksPartsAreNotLost) {
  const auto words = command("sartor-infer", classify_config, {"--set", "rows_per_part=5"});
  expect_done(run_command(words));
  const auto expected = taken();
  auto resumed = words;
  resumed.push_back("--resume");
  int ranks = 3;
  for (const int dead : {1, 0}) {
    const auto outcomes = on_each_rank(2, [&](int rank, const std::vector<std::string>& environment) {
      if (rank != dead) return run_command(words, environment);
      return run_with_fault(words, folder_, rank == 0 ? 20 : 7, Fault::kill_before, environment);
    });
    EXPECT_EQ(outcomes[dead].status, 137);
    EXPECT_NE(outcomes[1 - dead].status, 0);
    EXPECT_FALSE(fs::exists(path("out.csv")));
    ASSERT_TRUE(fs::exists(path("out.csv.parts")));
    for (const auto& rank : on_ranks(ranks--, resumed)) expect_done(rank);
    EXPECT_EQ(taken(), expected) << "rank " << dead << " died";
  }
}

TEST_F(SharedScoring, ResumesWhenOnlyJoiningIsLeft) {
  expect_done(infer(classify_config));
  const auto expected = taken();
  const auto words = command("sartor-infer", classify_config);
  const auto all_parts_but_no_output = [&] {
    int64_t parts = 0;
    for (int part = 0; part < 5; part++) parts += fs::exists(path(fmt::format("out.csv.parts/part-{:06}.csv", part)));
    return parts == 5 && !fs::exists(path("out.csv"));
  };
  for (int64_t call = count_calls(words, folder_); !all_parts_but_no_output(); call -= 4) {
    ASSERT_GT(call, 0);
    taken();
    ASSERT_EQ(run_with_fault(words, folder_, call, Fault::kill_before).status, 137);
  }
  const auto ranks = on_ranks(4, command("sartor-infer", classify_config, {"--resume"}));
  for (const auto& rank : ranks) expect_done(rank);
  EXPECT_THAT(ranks[0].err, HasSubstr("; 0 scored now"));
  EXPECT_EQ(taken(), expected);
}

class SharedGeneration : public Generating {};

TEST_F(SharedGeneration, IsTheSameAndLeavesPartsOfASlowRankToTheOthers) {
  std::string rows = "customer,name,likes,age\n";
  for (int row = 0; row < 1'000; row++) {
    rows += row % 50 == 9 ? "broken\n" : fmt::format("{},客户{},羽绒服,20\n", row, row);
  }
  write("customers.csv", rows);
  const auto words = command(
      "sartor-infer", generate_config,
      {"--set", "rows_per_part=4", "--set", "decoding.num_return_sequences=1", "--set", "limits.max_sequences=4"});
  expect_done(run_command(words));
  const auto expected = taken();
  for (const int ranks : {2, 4}) {
    for (const auto& rank : on_ranks(ranks, words)) expect_done(rank);
    EXPECT_EQ(taken(), expected) << ranks << " ranks";
  }
  expect_shared(run_delayed(words, path("log"), {15, 90}), 250);
  EXPECT_EQ(taken(), expected);
}

}  // namespace
}  // namespace sartor::testing
