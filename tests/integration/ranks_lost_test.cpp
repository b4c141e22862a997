// A rank that is killed in the middle of an epoch: the others end and name it, and the run continues to the same bits.
#include <signal.h>

#include <chrono>
#include <thread>

#include "base/numbers.h"
#include "integration/ranks_fixture.h"

namespace sartor::testing {
namespace {

using ::testing::HasSubstr;

class LostRank : public Ranks {
 protected:
  // The number in the file, or 0 if there is none yet.
  int number_in(const std::string& name) const {
    if (!std::filesystem::exists(path(name))) return 0;
    std::string text = read(name);
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return parse_number<int>(text).value_or(0);
  }

  int64_t epochs_logged() const {
    if (!std::filesystem::exists(path("run/metrics.jsonl"))) return 0;
    const auto text = read("run/metrics.jsonl");
    return std::ranges::count(text, '\n');
  }

  // Trains on `ranks` ranks until the victim is killed after some epochs.
  std::vector<Outcome> train_until_killed(int ranks, int victim, const std::vector<std::string>& words) const {
    auto running = std::async(std::launch::async, [&] {
      return on_each_rank(ranks, [&](int rank, const std::vector<std::string>& environment) {
        if (rank != victim) return run_command(words, environment);
        std::vector<std::string> with_pid = {"/bin/sh", "-c", "echo $$ > " + path("pid") + "; exec \"$@\"", "sh"};
        with_pid.insert(with_pid.end(), words.begin(), words.end());
        return run_command(with_pid, environment);
      });
    });
    kill_after_some_epochs(running);
    return running.get();
  }

  // Kills the process whose number is in the file "pid", unless all have ended before.
  template <class Result> void kill_after_some_epochs(const std::future<Result>& running) const {
    while (running.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      if (epochs_logged() < 5 || number_in("pid") == 0) continue;
      kill(number_in("pid"), SIGKILL);
      return;
    }
  }
};

constexpr const char* of_any_length =
    "device: cpu\ndata: {path: FOLDER/prepared.h5}\noutput: FOLDER/run\ncheckpoint: {every: 1}\nthreads: 1\n";

TEST_F(LostRank, IsNamedByTheOthersAndTheRunContinues) {
  write_ratings();
  expect_done(train(prepare_config));
  const std::string als = std::string("task: factorize\nmodel: {factors: 4, epochs: 1000000}\n") + of_any_length;
  const std::string ials =
      std::string("task: factorize\nmodel: {algorithm: ials, factors: 8, epochs: 1000000}\n") + of_any_length;
  for (const auto& [ranks, victim, config] : {std::tuple(2, 1, als), {4, 2, ials}, {4, 0, als}}) {
    std::filesystem::remove(path("pid"));
    std::filesystem::remove_all(path("run"));
    const auto outcomes = train_until_killed(ranks, victim, command("sartor-train", config));
    for (int rank = 0; rank < ranks; rank++) {
      EXPECT_EQ(outcomes[rank].status, rank == victim ? 137 : 1);
      if (rank == victim) continue;
      EXPECT_THAT(outcomes[rank].err, HasSubstr(fmt::format("rank {} of {}, epoch ", rank, ranks)));
      EXPECT_THAT(outcomes[rank].err, HasSubstr(fmt::format("rank {} has gone", victim)));
    }
    const auto epochs = fmt::format("model.epochs={}", epochs_logged() + 3);
    expect_done_on(ranks, command("sartor-train", config, {"--resume", "--set", epochs}));
    const auto continued = read("run/model/factors.h5");
    expect_done(train(config, {"--overwrite", "--set", epochs}));
    EXPECT_TRUE(read("run/model/factors.h5") == continued) << ranks << " ranks without " << victim;
  }
}

// One rank of the first attempt is killed; torchrun stops the others and starts all again with the same command.
TEST_F(LostRank, IsRestartedByTorchrunToTheSameBits) {
  write_ratings();
  expect_done(train(prepare_config));
  const std::string config =
      std::string("task: factorize\nmodel: {algorithm: ials, factors: 8, epochs: 60}\n") + of_any_length;
  expect_done(train(config));
  const auto one = read("run/model/factors.h5");
  for (const int ranks : {1, 2, 4}) {
    expect_done(under_torchrun(ranks, command("sartor-train", config, {"--overwrite"})));
    EXPECT_TRUE(read("run/model/factors.h5") == one) << ranks;
  }
  std::filesystem::remove_all(path("run"));
  // torchrun makes $$ of $$$$
  const std::string note_pid = "[ $RANK$TORCHELASTIC_RESTART_COUNT != 20 ] || echo $$$$ > " + path("pid");
  std::vector<std::string> words = {"/bin/sh", "-c", note_pid + "; exec \"$@\"", "sh"};
  const auto program = command("sartor-train", config);
  words.insert(words.end(), program.begin(), program.end());
  auto running = std::async(std::launch::async, [&] { return under_torchrun(4, words, {"--max-restarts=1"}); });
  kill_after_some_epochs(running);
  const auto outcome = running.get();
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("restarted by torchrun: resuming "));
  EXPECT_TRUE(read("run/model/factors.h5") == one);
}

}  // namespace
}  // namespace sartor::testing
