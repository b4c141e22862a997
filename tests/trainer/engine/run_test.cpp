// Contents and locking of run folders.
#include "engine/run.h"

#include <fmt/format.h>

#include <cmath>
#include <csignal>

#include "run_fixture.h"
#include "support/faults/faults.h"
#include "support/paths.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::StrEq;
using ::testing::ThrowsMessage;
using Json = nlohmann::json;

TEST_F(RunTest, FolderHoldsWhatDesignSays) {
  auto described = request("runs/夏季");
  described.config = "name: 夏季\n";
  described.command = {"sartor-train", "--set", "broken=\xff"};
  described.device = "CPU";
  described.checkpoint = {.every = 2, .keep = 2};
  {
    sartor::Run run(described);
    run.record("data_hash", "00ff");
    EXPECT_FALSE(fs::exists("runs/夏季")) << "the folder appears with the first epoch";
    ToyModel model;
    for (auto epoch : run.steps(5)) {
      run.log(epoch, {{"train", {{"loss", 0.5}}}, {"validation", {{"loss", std::nan("")}, {"得分", 1}}}});
      run.checkpoint(epoch, model);
    }
    run.finish([](const fs::path& folder) { std::ofstream(folder / "factors.h5") << "f"; },
               {{"test", {{"rmse", 0.75}}}}, {{"popularity", {{"rmse", 1.5}}}});
  }
  const fs::path run = "runs/夏季";
  EXPECT_THAT(names_in("runs"), ElementsAre("夏季"));
  EXPECT_THAT(names_in(run), ElementsAre(".lock", "checkpoints", "metrics.jsonl", "model", "provenance.json",
                                         "results.json", "run.yaml"));
  EXPECT_THAT(names_in(run / "checkpoints"), ElementsAre("epoch-000004", "epoch-000005"));
  EXPECT_EQ(text_of(run / "model/factors.h5"), "f");
  EXPECT_EQ(text_of(run / "run.yaml"), "name: 夏季\n");
  EXPECT_EQ(json_of(run / "results.json"),
            Json::parse(R"({"test": {"rmse": 0.75}, "baselines": {"popularity": {"rmse": 1.5}}})"));
  const auto provenance = json_of(run / "provenance.json");
  EXPECT_EQ(provenance["data_hash"], "00ff");
  EXPECT_EQ(provenance["starts"][0]["command"], Json({"sartor-train", "--set", "broken=\ufffd"}));
  EXPECT_EQ(provenance["starts"][0]["device"], "CPU");
  EXPECT_EQ(provenance["starts"][0]["world_size"], 1);
  EXPECT_TRUE(provenance["starts"][0]["versions"].contains("libtorch"));
  EXPECT_THAT(logged_epochs(run), ElementsAre(1, 2, 3, 4, 5));
  std::ifstream lines(run / "metrics.jsonl");
  std::string line;
  std::getline(lines, line);
  auto first = Json::parse(line);
  EXPECT_GE(first["seconds"], 0);
  first.erase("seconds");
  EXPECT_EQ(first, Json::parse(R"({"epoch": 1, "train": {"loss": 0.5}, "validation": {"loss": null, "得分": 1.0}})"));
}

TEST_F(RunTest, ExistingFolderIsRefusedOrPutAside) {
  train(request(), 1);
  EXPECT_THAT(
      [] { sartor::Run run(request("runs/a/")); },
      ThrowsMessage<std::invalid_argument>(StrEq("runs/a exists: --resume continues it, --overwrite moves it aside")));
  train(overwriting(), 2);
  train(overwriting(), 3);
  EXPECT_THAT(names_in("runs"), ElementsAre("a", "a.1", "a.2"));
  EXPECT_THAT(logged_epochs("runs/a.1"), ElementsAre(1));
  EXPECT_THAT(logged_epochs("runs/a.2"), ElementsAre(1, 2));
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2, 3));
}

TEST_F(RunTest, OnlyRunsAreResumedAndOverwritten) {
  EXPECT_THAT([] { sartor::Run run(resumed()); },
              ThrowsMessage<std::invalid_argument>(StrEq("there is no run runs/a to resume")));
  fs::create_directories("runs/a");
  std::ofstream("runs/a/thesis.tex") << "years";
  for (const auto& wrong : {resumed(), overwriting()}) {
    EXPECT_THAT([&] { sartor::Run run(wrong); },
                ThrowsMessage<std::invalid_argument>(StrEq("runs/a is not a run folder: it has no run.yaml")));
  }
  EXPECT_THAT(names_in("runs/a"), ElementsAre("thesis.tex"));
}

TEST_F(RunTest, MistakeBeforeTheFirstEpochLeavesNothing) {
  const auto mistaken = [](const RunRequest& request) {
    sartor::Run run(request);
    throw std::invalid_argument("no such data");
  };
  EXPECT_THROW(mistaken(request("runs/deep/down")), std::invalid_argument);
  EXPECT_THAT(names_in("."), IsEmpty());
  train(request(), 1);
  EXPECT_THROW(mistaken(overwriting()), std::invalid_argument);
  EXPECT_THAT(names_in("runs"), ElementsAre("a"));
}

TEST_F(RunTest, SecondWriterIsToldWhoTheFirstIs) {
  std::ofstream("toy.yaml") << "task: toy\noutput: runs/a\n";
  const auto expected = fmt::format("toy: runs/a is in use by process {}\n", getpid());
  const auto second = [](const std::string& flag) {
    return run_command({sartor::testing::program("trainer_toy"), "--config", "toy.yaml", flag});
  };
  sartor::Run run(request());
  EXPECT_EQ(second("--overwrite").err, expected) << "before the folder has its name";
  for (auto epoch : run.steps(1)) {
    run.checkpoint(epoch, ToyModel());
    for (const auto flag : {"--overwrite", "--resume"}) {
      const auto refused = second(flag);
      EXPECT_EQ(refused.status, 2);
      EXPECT_EQ(refused.err, expected);
    }
  }
  EXPECT_THAT(names_in("runs"), ElementsAre("a"));
}

TEST_F(RunTest, CheckpointsByEpochsOrAtTheEndAlone) {
  const auto kept = [](const std::string& folder, IntervalStrategy strategy, bool good) {
    auto asked = request(folder);
    asked.unit = "step";
    asked.checkpoint = {.save_strategy = strategy, .every = 2, .keep = 9};
    sartor::Run run(asked);
    for (auto step : run.steps(7, /*per_epoch=*/3)) run.checkpoint(step, ToyModel(), [&] { return good || step != 6; });
    return names_in(fs::path(folder) / "checkpoints");
  };
  EXPECT_THAT(kept("steps", IntervalStrategy::steps, true),
              ElementsAre("step-000002", "step-000004", "step-000006", "step-000007"));
  EXPECT_THAT(kept("epochs", IntervalStrategy::epoch, true), ElementsAre("step-000003", "step-000006", "step-000007"));
  EXPECT_THAT(kept("good", IntervalStrategy::epoch, false), ElementsAre("step-000003", "step-000007"));
  EXPECT_THAT(kept("end", IntervalStrategy::no, true), ElementsAre("step-000007"));
}

TEST_F(RunTest, EvaluationIsReplacedAsAWhole) {
  const auto writes = [](const std::string& name) {
    return [=](const fs::path& folder) { std::ofstream(folder / name) << "x"; };
  };
  sartor::Run run(request());
  for (auto epoch : run.steps(1)) run.checkpoint(epoch, ToyModel());
  run.keep_evaluation(writes("first"));
  run.keep_evaluation(writes("second"));
  EXPECT_THAT(names_in("runs/a/evaluation"), ElementsAre("second"));
  const auto fails = [](const fs::path& folder) {
    std::ofstream(folder / "half") << "x";
    throw std::runtime_error("full");
  };
  EXPECT_THROW(run.keep_evaluation(fails), std::runtime_error);
  EXPECT_FALSE(fs::exists("runs/a/evaluation.partial"));
}

// A model that is slow to save.
struct SlowModel : ToyModel {
  static constexpr std::chrono::milliseconds duration{20};
  int64_t* saves = nullptr;

  void save(const fs::path& folder) const {
    const auto end = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < end) continue;
    ++*saves;
    ToyModel::save(folder);
  }
};

TEST_F(RunTest, SavingTakesNoLongerThanTrainingUnlessTheConfigSaysHowOften) {
  int64_t saves = 0;
  SlowModel model;
  model.saves = &saves;
  auto automatic = request();
  automatic.checkpoint = {.every = 0, .keep = 9};
  sartor::Run run(automatic);
  const auto start = std::chrono::steady_clock::now();
  for (auto epoch : run.steps(50)) run.checkpoint(epoch, model);
  const auto other = std::chrono::steady_clock::now() - start - saves * SlowModel::duration;
  EXPECT_GE(saves, 2);  // after the first epoch, as nothing is known yet, and the last
  EXPECT_LE((saves - 2) * SlowModel::duration, other);
  EXPECT_THAT(names_in("runs/a/checkpoints"), ::testing::Contains("epoch-000001"));
  EXPECT_THAT(names_in("runs/a/checkpoints"), ::testing::Contains("epoch-000050"));
}

TEST_F(RunTest, SignalSavesTheEpochAndStops) {
  std::ofstream("toy.yaml") << "task: toy\noutput: runs/a\nepochs: 3\ncheckpoint: {every: 10}\n";
  const std::vector<std::string> toy = {sartor::testing::program("trainer_toy"), "--config", "toy.yaml", "--set"};
  auto command = toy;
  command.insert(command.end(), {"signal_in=1"});
  const auto terminated = run_command(command);
  EXPECT_EQ(terminated.status, 143);
  EXPECT_THAT(terminated.err, EndsWith("toy: stopped by SIGTERM after epoch 1: --resume continues runs/a\n"));
  EXPECT_THAT(names_in("runs/a/checkpoints"), ElementsAre("epoch-000001"));

  command = toy;
  command.insert(command.end(), {"signal_in=3", fmt::format("signal={}", SIGINT), "--resume"});
  const auto interrupted = run_command(command);
  EXPECT_EQ(interrupted.status, 130) << interrupted.err;
  EXPECT_THAT(interrupted.out, StartsWith("first 2\n"));
  EXPECT_THAT(names_in("runs/a/checkpoints"), ElementsAre("epoch-000001", "epoch-000003"));

  EXPECT_EQ(run_command(command).status, 0);
  EXPECT_EQ(run_command(command).out, "complete\n");

  command = toy;
  command.insert(command.end(), {"signal_in=2", fmt::format("signal={}", SIGHUP), "output=runs/b"});
  const auto hung_up = run_command(command);
  EXPECT_EQ(hung_up.status, 129);
  EXPECT_THAT(hung_up.err, EndsWith("toy: stopped by SIGHUP after epoch 2: --resume continues runs/b\n"));
  EXPECT_THAT(names_in("runs/b/checkpoints"), ElementsAre("epoch-000002"));
}

TEST_F(RunTest, TheBestOfAStepThatIsTakenAgainReplacesTheFirst) {
  const auto writes = [](const std::string& name) {
    return [=](const fs::path& folder) { std::ofstream(folder / name) << "x"; };
  };
  sartor::Run run(request());
  for (auto epoch : run.steps(1)) run.checkpoint(epoch, ToyModel());
  run.keep_best(1, writes("killed"));
  run.keep_best(1, writes("resumed"));
  EXPECT_THAT(names_in(run.best(1)), ElementsAre("resumed", "state.json"));
}

}  // namespace
}  // namespace sartor
