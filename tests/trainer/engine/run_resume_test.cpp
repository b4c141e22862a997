// --resume and restarted launches: what they continue and what they reject.
#include <fmt/format.h>

#include "run_fixture.h"
#include "support/faults/faults.h"
#include "support/paths.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

TEST_F(RunTest, ResumedRunEqualsAnUninterruptedOne) {
  const auto whole = train(request("runs/whole"));
  auto sparse = request();
  sparse.checkpoint = {.every = 2, .keep = 1};
  EXPECT_THROW(train(sparse, 5, 4), Crashed);
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(names_in("runs/a/checkpoints"), ElementsAre("epoch-000002"));
  std::ofstream("runs/a/metrics.jsonl", std::ios::app) << "{\"epoch\": 5, \"secon";  // cut off by a crash
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

TEST_F(RunTest, ARestartedLaunchGoesOnWithItsOwnRunAlone) {
  const auto of = [](const std::string& launch, int restarts, RunRequest request = RunTest::request()) {
    request.start.launch = {launch, restarts};
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

  EXPECT_THROW(train(of("two", 0, overwriting()), 5, 2), Crashed);  // renames the existing run once
  train(of("two", 1, overwriting()));
  EXPECT_THAT(names_in("runs"), ElementsAre("a", "a.1", "whole"));
  EXPECT_EQ(json_of("runs/a/provenance.json")["starts"].size(), 2);
}

TEST_F(RunTest, ALaunchThatDiedBeforeItsRunBeganBeginsIt) {
  auto asked = request();
  asked.start.launch = {"one", 1};
  train(asked, 2);
  EXPECT_THAT(logged_epochs("runs/a"), ElementsAre(1, 2));
  train(request("runs/b"), 1);  // a run without a launch
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
  EXPECT_EQ(text_of("runs/a/run.yaml"), changed.config.yaml());
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
      ThrowsMessage<std::invalid_argument>(StrEq("runs/a has already trained 3 epochs, the config asks for 2")));

  auto longer = resumed();
  longer.config = "epochs: 6\nmodel: {factors: 8}\n";
  EXPECT_FALSE(sartor::Run(longer).complete());
  EXPECT_THROW(train(longer, 6, 5), Crashed);
  EXPECT_FALSE(fs::exists("runs/a/results.json")) << "the results of the earlier run must be removed";
  const auto model = train(longer, 6);
  EXPECT_EQ(model.weights, train(request("runs/whole"), 6).weights);
  EXPECT_EQ(text_of("runs/a/model/weights"), std::to_string(model.weights));
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

TEST_F(RunTest, ABrokenRecordIsFoundBeforeAnythingIsTouched) {
  train(request(), 3);
  std::ofstream("runs/a/provenance.json") << "{";
  auto longer = resumed();
  longer.config = "epochs: 6\nmodel: {factors: 8}\n";
  EXPECT_THAT([&] { train(longer, 6); }, ThrowsMessage<std::invalid_argument>(HasSubstr("provenance.json is broken")));
  EXPECT_TRUE(fs::exists("runs/a/results.json"));
  EXPECT_EQ(text_of("runs/a/run.yaml"), request().config.yaml());
}

// A run of an earlier release, stopped after two epochs.
class RunOfBefore : public RunTest {
 protected:
  RunOfBefore() {
    fs::copy(sartor::testing::source_path("tests/golden/resume/run"), "run", fs::copy_options::recursive);
    std::ofstream("toy.yaml") << "task: toy\noutput: run\nepochs: 4\n";
  }
  static Outcome toy(std::vector<std::string> more) {
    std::vector<std::string> words = {sartor::testing::program("trainer_toy"), "--config", "toy.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  }
};

TEST_F(RunOfBefore, GoesOn) {
  EXPECT_EQ(toy({}).err, "toy: run exists: --resume continues it, --overwrite moves it aside\n");
  EXPECT_EQ(toy({"--resume", "--set", "learning_rate=2.5"}).err,
            "toy: learning_rate: the run began with 0.5, --resume cannot continue with 2.5\n");
  const auto resumed = toy({"--resume"});
  EXPECT_EQ(resumed.out, "first 3\ntrained 3\ntrained 4\n") << resumed.err;
  EXPECT_EQ(toy({"--set", "output=whole"}).status, 0);
  EXPECT_EQ(text_of("run/model/weights"), text_of("whole/model/weights"));
  EXPECT_THAT(logged_epochs("run"), ElementsAre(1, 2, 3, 4));
}

TEST_F(RunOfBefore, IsRecordedInTheSameForm) {
  ASSERT_EQ(toy({"--set", "output=whole", "--set", "signal_in=2"}).status, 143);
  const auto without_circumstances = [](const fs::path& run) {
    auto record = nlohmann::ordered_json::parse(text_of(run / "provenance.json"));
    auto& start = record["starts"][0];
    for (const char* name : {"time", "command", "versions"}) start[name] = nullptr;
    start.erase("launch");  // the field that torchrun adds
    return record.dump();
  };
  EXPECT_EQ(without_circumstances("run"), without_circumstances("whole"));
}

TEST_F(RunOfBefore, IsContinuedByTheLaunchThatBeganIt) {
  RunRequest request = {.folder = "run", .config = text_of("run/run.yaml")};
  request.start.launch = {"夏季-7", 1};
  sartor::Run run(request);
  run.record("data_hash", "0123");
  EXPECT_EQ(run.done(), 2);
}

}  // namespace
}  // namespace sartor
