// A run folder: what is in it, who may write to it, and what --resume continues.
#include "engine/run.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"
#include "toy_model.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::StrEq;
using ::testing::ThrowsMessage;
using Json = nlohmann::json;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

Json json_of(const fs::path& path) { return Json::parse(text_of(path)); }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

struct Crashed {};  // stands for what ends a program between two epochs

class RunTest : public testing::WorkingFolderTest {
 protected:
  static RunRequest request(const std::string& folder = "runs/a") {
    return {.folder = folder, .config = "epochs: 5\nmodel: {factors: 8}\n", .may_change = {"epochs", "checkpoint"}};
  }
  static RunRequest resumed(RunRequest request = RunTest::request()) {
    request.resume = true;
    return request;
  }
  static RunRequest overwriting(RunRequest request = RunTest::request()) {
    request.overwrite = true;
    return request;
  }

  // A run to the end, or up to a crash after `crash_after` epochs are logged and before that is saved.
  static ToyModel train(RunRequest request, int64_t epochs = 5, int64_t crash_after = 0) {
    sartor::Run run(std::move(request));
    ToyModel model;
    run.restore(model);
    for (auto epoch : run.steps(epochs)) {
      model.train_epoch();
      run.log(epoch, {{"validation", model.metrics()}});
      if (epoch == crash_after) throw Crashed();
      run.checkpoint(epoch, model);
    }
    run.finish(model, {{"test", model.metrics()}});
    return model;
  }

  static std::vector<int64_t> logged_epochs(const fs::path& run) {
    std::ifstream lines(run / "metrics.jsonl");
    std::vector<int64_t> epochs;
    for (std::string line; std::getline(lines, line);) epochs.push_back(Json::parse(line).at("epoch"));
    return epochs;
  }
};

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
      ThrowsMessage<std::invalid_argument>(StrEq("runs/a exists: --resume continues it, --overwrite puts it aside")));
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
                ThrowsMessage<std::invalid_argument>(StrEq("runs/a is no run: it has no run.yaml")));
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

TEST_F(RunTest, ResumedRunEqualsAnUninterruptedOne) {
  const auto whole = train(request("runs/whole"));
  auto sparse = request();
  sparse.checkpoint = {.every = 2, .keep = 1};
  EXPECT_THROW(train(sparse, 5, 4), Crashed);
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(names_in("runs/a/checkpoints"), ElementsAre("epoch-000002"));
  std::ofstream("runs/a/metrics.jsonl", std::ios::app) << "{\"epoch\": 5, \"secon";  // the machine went down
  EXPECT_THROW(train(resumed(sparse), 5, 5), Crashed);
  EXPECT_THAT(names_in("runs/a/checkpoints"), ElementsAre("epoch-000004"));
  const auto model = train(resumed(sparse));
  EXPECT_EQ(model.weights, whole.weights);
  EXPECT_EQ(model.momentum, whole.momentum);
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(json_of("runs/a/results.json"), json_of("runs/whole/results.json"));
  const auto starts = json_of("runs/a/provenance.json")["starts"];
  ASSERT_EQ(starts.size(), 3);
  EXPECT_EQ(starts[1]["done_before"], 2);
  EXPECT_EQ(starts[2]["done_before"], 4);
}

TEST_F(RunTest, CheckpointsByEpochsOrAtTheEndAlone) {
  const auto kept = [](const std::string& folder, IntervalStrategy strategy, bool good) {
    auto asked = request(folder);
    asked.unit = "step";
    asked.checkpoint = {.save_strategy = strategy, .every = 2, .keep = 9};
    sartor::Run run(asked);
    for (auto step : run.steps(7, /*per_epoch=*/3)) run.checkpoint(step, ToyModel(), good || step != 6);
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

TEST_F(RunTest, ARestartedLaunchGoesOnWithItsOwnRunAlone) {
  const auto of = [](const std::string& launch, int restarts, RunRequest request = RunTest::request()) {
    request.launch = {launch, restarts};
    return request;
  };
  EXPECT_THROW(train(of("one", 0), 5, 3), Crashed);
  EXPECT_THAT([&] { sartor::Run run(of("one", 0)); }, ThrowsMessage<std::invalid_argument>(HasSubstr("exists")));
  EXPECT_THAT([&] { sartor::Run run(of("two", 1)); }, ThrowsMessage<std::invalid_argument>(HasSubstr("exists")));
  EXPECT_THROW(train(of("one", 1), 5, 4), Crashed);
  const auto model = train(of("one", 2));
  EXPECT_EQ(model.weights, train(request("runs/whole")).weights);
  const auto starts = json_of("runs/a/provenance.json")["starts"];
  ASSERT_EQ(starts.size(), 3);
  EXPECT_EQ(starts[2]["launch"], "one");
  EXPECT_EQ(starts[2]["done_before"], 3);
  EXPECT_TRUE(sartor::Run(of("one", 3)).complete());

  EXPECT_THROW(train(of("two", 0, overwriting()), 5, 2), Crashed);  // puts the run aside, once
  train(of("two", 1, overwriting()));
  EXPECT_THAT(names_in("runs"), ElementsAre("a", "a.1", "whole"));
  EXPECT_EQ(json_of("runs/a/provenance.json")["starts"].size(), 2);
}

TEST_F(RunTest, ALaunchThatDiedBeforeItsRunBeganBeginsIt) {
  auto asked = request();
  asked.launch = {"one", 1};
  train(asked, 2);
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2));
  train(request("runs/b"), 1);  // nobody's
  asked.folder = "runs/b";
  EXPECT_THAT([&] { sartor::Run run(asked); }, ThrowsMessage<std::invalid_argument>(HasSubstr("runs/b exists")));
}

TEST_F(RunTest, ResumeRefusesAnotherConfig) {
  EXPECT_THROW(train(request(), 5, 3), Crashed);
  auto changed = resumed();
  changed.config = "epochs: 5\nmodel: {factors: 16}\n";
  EXPECT_THAT([&] { sartor::Run run(changed); },
              ThrowsMessage<std::invalid_argument>(
                  StrEq("model.factors: the run began with 8, --resume cannot continue with 16")));
  changed.config = "epochs: 5\n";
  EXPECT_THAT([&] { sartor::Run run(changed); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("model.factors: the run began with 8")));
  changed.config = "epochs: 7\nmodel: {factors: 8}\n";
  train(changed, 7);
  EXPECT_EQ(text_of("runs/a/run.yaml"), changed.config);
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

TEST_F(RunTest, ResumeRefusesOtherData) {
  const auto on_data = [](RunRequest request, const std::string& hash) {
    sartor::Run run(std::move(request));
    run.record("data_hash", hash);
    for (auto epoch : run.steps(5)) {
      run.checkpoint(epoch, ToyModel());
      throw Crashed();
    }
  };
  EXPECT_THROW(on_data(request(), "aa"), Crashed);
  EXPECT_THAT([&] { on_data(resumed(), "bb"); },
              ThrowsMessage<std::invalid_argument>(StrEq("data_hash is bb, the run began with aa")));
  EXPECT_THROW(on_data(resumed(), "aa"), Crashed);
}

TEST_F(RunTest, CompleteRunIsLeftAloneUnlessMoreIsAsked) {
  EXPECT_THROW(train(request(), 3, 3), Crashed);
  EXPECT_FALSE(sartor::Run(resumed()).complete());
  train(resumed(), 3);
  EXPECT_TRUE(sartor::Run(resumed()).complete());
  EXPECT_THAT(
      [] { sartor::Run(resumed()).steps(2); },
      ThrowsMessage<std::invalid_argument>(StrEq("runs/a has trained 3 epochs already, the config asks for 2")));

  auto longer = resumed();
  longer.config = "epochs: 6\nmodel: {factors: 8}\n";
  EXPECT_FALSE(sartor::Run(longer).complete());
  EXPECT_THROW(train(longer, 6, 5), Crashed);
  EXPECT_FALSE(fs::exists("runs/a/results.json")) << "they are not those of this run any more";
  const auto model = train(longer, 6);
  EXPECT_EQ(model.weights, train(request("runs/whole"), 6).weights);
  EXPECT_EQ(text_of("runs/a/model/weights"), std::to_string(model.weights));
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

TEST_F(RunTest, ADamagedCheckpointFallsBackToTheOneBefore) {
  const auto whole = train(request("runs/whole"));
  auto asked = request();
  asked.checkpoint.keep = 3;
  for (const auto* damaged : {"weights", "optimizer/momentum", "state.json"}) {
    fs::remove_all("runs/a");
    EXPECT_THROW(train(asked, 5, 5), Crashed);
    std::ofstream(fs::path("runs/a/checkpoints/epoch-000004") / damaged) << "";
    fs::remove(fs::path("runs/a/checkpoints/epoch-000003") / damaged);
    ::testing::internal::CaptureStderr();
    EXPECT_THROW(train(resumed(asked), 5, 4), Crashed);
    const auto said = ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(said, HasSubstr("epoch-000004 is damaged, runs/a/checkpoints/epoch-000003 is used instead: "));
    EXPECT_THAT(said, HasSubstr("epoch-000003 is damaged, runs/a/checkpoints/epoch-000002 is used instead: "));
    EXPECT_THAT(names_in("runs/a/checkpoints"),
                ElementsAre("epoch-000002", "epoch-000003", "epoch-000003.damaged", "epoch-000004.damaged"));
    const auto model = train(resumed(asked));
    EXPECT_EQ(model.weights, whole.weights);
    EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2, 3, 4, 5));
  }
}

TEST_F(RunTest, WithoutASoundCheckpointTheDamageIsNamed) {
  EXPECT_THROW(train(request(), 5, 3), Crashed);
  for (const auto* name : {"epoch-000001", "epoch-000002"})
    fs::remove(fs::path("runs/a/checkpoints") / name / "weights");
  EXPECT_THAT([] { train(resumed()); }, ThrowsMessage<std::runtime_error>(HasSubstr("epoch-000001/weights")));
  EXPECT_THAT(names_in("runs/a/checkpoints"), ElementsAre("epoch-000001", "epoch-000002"));
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

TEST_F(RunTest, BrokenFilesAreNamed) {
  EXPECT_THROW(train(request(), 5, 3), Crashed);
  fs::remove_all("runs/a/checkpoints/epoch-000001");
  const auto refusal = [](const std::string& part) {
    return ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("runs/a/"), HasSubstr(part)));
  };
  const auto state = "runs/a/checkpoints/epoch-000002/state.json";
  for (const auto text :
       {"", "{", "{}", "[1]", R"({"epoch": "2", "metrics_lines": 2})", R"({"epoch": 0, "metrics_lines": 2})"}) {
    std::ofstream(state) << text;
    EXPECT_THAT([] { sartor::Run run(resumed()); }, refusal("state.json is broken: ")) << text;
  }
  std::ofstream(state) << R"({"epoch": 2, "metrics_lines": 9})";
  EXPECT_THAT([] { train(resumed()); },
              refusal("metrics.jsonl has 3 lines, fewer than the 9 when the checkpoint was made"));
  std::ofstream(state) << R"({"epoch": 2, "metrics_lines": 2})";
  for (const auto text : {"{", "[1]"}) {
    std::ofstream("runs/a/provenance.json") << text;
    EXPECT_THAT([] { train(resumed()); }, refusal("provenance.json is broken: ")) << text;
  }
}

}  // namespace
}  // namespace sartor
