// Command line, error messages and exit status of programs.
#include "runtime/program.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <new>
#include <system_error>

#include "support/folder_test.h"
#include "support/stop_signals.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct PourConfig : RuntimeConfig {
  std::string input, output;
  std::string fault = "none";
  std::vector<int64_t> cups = {1, 2};

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("input", input, "Jug.");
    field.required("output", output, "Glass.");
    field("fault", fault, "What goes wrong.");
    field("cups", cups, at_least(1), "Number of cups.");
  }
  std::vector<fs::path> reads() const { return {input}; }
  std::vector<Output> writes() const { return {{output}}; }
};

void fail(const PourConfig& config, const Invocation&) {
  const auto os_fault = [](int code) { return std::system_error(code, std::generic_category(), "cannot write 杯子"); };
  if (config.fault == "user") throw std::invalid_argument("jug.csv:3: 水 is not a drink");
  if (config.fault == "failure") throw std::runtime_error("glass\nbroken\x1b[2J");
  if (config.fault == "torch")
    throw std::runtime_error("sizes differ\nException raised from f at g.cpp:1\nframe #0: h");
  if (config.fault == "memory") throw std::bad_alloc();
  if (config.fault == "full disk") throw os_fault(ENOSPC);
  if (config.fault == "quota") throw os_fault(EDQUOT);
  if (config.fault == "rights") fs::create_directory("/proc/glass");
  if (config.fault == "hardware") throw os_fault(EIO);
  if (config.fault == "interrupt") throw Stopped(SIGINT, "stopped by SIGINT");
  if (config.fault == "signal") {
    send_stop_signal(SIGTERM);
    throw Stopped(stop_signal(), "stopped by SIGTERM");
  }
}

void pour(const PourConfig& config, Runtime& runtime) {
  std::ofstream(config.output) << runtime.threads << (runtime.context.is_gpu() ? " gpu" : " cpu");
}

struct Ended {
  int status;
  std::string out, err;
};

class ProgramTest : public testing::WorkingFolderTest {
 protected:
  ProgramTest() {
    std::ofstream("pour.yaml") << "task: pour\ninput: jug\noutput: glass\ndevice: cpu\nthreads: 2\n";
    std::ofstream("fail.yaml") << "task: fail\ninput: jug\noutput: glass\n";
  }

  static Ended run(std::vector<const char*> arguments) {
    const Program program = {.name = "sartor-pour",
                             .summary = "Pours.",
                             .examples = "  sartor-pour --config pour.yaml\n",
                             .tasks = {task("pour", Processes::one, "From jugs to glasses.", pour),
                                       make_task<PourConfig>("fail", Processes::sharing, "Spills.", fail)}};
    arguments.insert(arguments.begin(), "sartor-pour");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int status = run_program(program, static_cast<int>(arguments.size()), arguments.data());
    std::fflush(stdout);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    return {status, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
  }
};

TEST_F(ProgramTest, EveryFaultIsOneLineAndAStatus) {
  const auto ends = [](const std::string& fault, int status, const std::string& line) {
    const auto change = "fault=" + fault;
    const auto ended = run({"--config", "fail.yaml", "--set", change.c_str()});
    EXPECT_EQ(ended.status, status) << fault;
    EXPECT_EQ(ended.err, line.empty() ? "" : "sartor-pour: " + line + "\n") << fault;
  };
  ends("none", 0, "");
  ends("user", 2, "jug.csv:3: 水 is not a drink");
  ends("failure", 1, "glass broken [2J");
  ends("torch", 1, "sizes differ");
  ends("memory", 1, "out of memory");
  ends("full disk", 2, "cannot write 杯子: No space left on device");
  ends("quota", 2, "cannot write 杯子: Disk quota exceeded");
  ends("hardware", 1, "cannot write 杯子: Input/output error");
  ends("interrupt", 130, "stopped by SIGINT");
  ends("signal", 143, "stopped by SIGTERM");
  EXPECT_EQ(run({"--config", "fail.yaml", "--set", "fault=rights"}).status, 2);
}

TEST_F(ProgramTest, MistakesOnTheCommandLineAreStatusTwo) {
  const auto refused = [](const std::vector<const char*>& arguments, const std::string& part) {
    const auto ended = run(arguments);
    EXPECT_EQ(ended.status, 2);
    EXPECT_EQ(ended.out, "");
    EXPECT_THAT(ended.err, AllOf(StartsWith("sartor-pour: "), HasSubstr(part), EndsWith("\n")));
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  };
  refused({}, "--config FILE");
  refused({"--confg", "pour.yaml"}, "--confg");
  refused({"pour.yaml"}, "pour.yaml");
  refused({"--config"}, "--config");
  refused({"--config", "none.yaml"}, "none.yaml");
  refused({"--config", "pour.yaml", "--set", "task=poor"}, "pour");
  refused({"--config", "pour.yaml", "--set", "cups=0"}, "cups");
  refused({"--config", "pour.yaml", "--set", "inptu=x"}, "input");
  refused({"--config", "pour.yaml", "--set", "threads=-1"}, "threads");
  refused({"--config", "pour.yaml", "--resume", "--overwrite"}, "--resume");
  refused({"--config", "pour.yaml", "--resume"}, "nothing to resume");
}

TEST_F(ProgramTest, ATaskThatSharesNoWorkRefusesSeveralProcesses) {
  for (const auto& [name, value] : {std::pair("WORLD_SIZE", "2"), {"RANK", "1"}, {"LOCAL_WORLD_SIZE", "2"}}) {
    setenv(name, value, 1);
  }
  const auto refused = run({"--config", "pour.yaml"});
  const auto shared = run({"--config", "fail.yaml"});
  for (const char* name : {"WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE"}) unsetenv(name);
  EXPECT_EQ(refused.status, 2);
  EXPECT_EQ(refused.err, "sartor-pour: task pour runs in one process, WORLD_SIZE is 2: start it without torchrun\n");
  EXPECT_FALSE(fs::exists("glass"));
  EXPECT_EQ(shared.status, 0) << shared.err;
}

TEST_F(ProgramTest, HelpTeaches) {
  const auto help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("Pours."), HasSubstr("--set a.b=c"), HasSubstr("From jugs to glasses."),
                              HasSubstr("sartor-pour --config pour.yaml")));
  const auto version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.out, StartsWith("sartor-pour 0."));
  const auto fields = run({"--help-config"});
  EXPECT_EQ(fields.status, 0);
  EXPECT_THAT(fields.out, AllOf(HasSubstr("pour"), HasSubstr("cups"), HasSubstr("Jug."), HasSubstr("auto")));
  EXPECT_THAT(run({"--help-config-markdown"}).out, HasSubstr("| "));
}

TEST_F(ProgramTest, DryRunPrintsEverythingAndTouchesNothing) {
  std::ofstream("jug") << "water";
  const auto dry = run({"--config", "pour.yaml", "--set", "cups=[3]", "output=杯子/水", "--dry-run"});
  EXPECT_EQ(dry.status, 0);
  EXPECT_THAT(dry.out, AllOf(HasSubstr("cups: [3]"), HasSubstr("fault: none"), HasSubstr("# reads  jug\n"),
                             EndsWith("# writes 杯子/水\n")));
  EXPECT_FALSE(fs::exists("杯子"));
  EXPECT_THAT(run({"--config", "pour.yaml", "--set", "input=jar", "output=jug", "--dry-run"}).out,
              EndsWith("# reads  jar  (missing)\n# writes jug  (exists)\n"));
  std::ofstream("resolved.yaml") << dry.out;
  EXPECT_EQ(run({"--config", "resolved.yaml", "--dry-run"}).out, dry.out) << "it is a config itself";
}

TEST_F(ProgramTest, ExistingOutputNeedsOverwrite) {
  EXPECT_EQ(run({"--config", "pour.yaml"}).status, 0);
  std::string poured;
  std::getline(std::ifstream("glass"), poured);
  EXPECT_EQ(poured, "2 cpu");
  const auto again = run({"--config", "pour.yaml"});
  EXPECT_EQ(again.status, 2);
  EXPECT_EQ(again.err, "sartor-pour: glass exists: --overwrite replaces it\n");
  EXPECT_EQ(run({"--config", "pour.yaml", "--overwrite"}).status, 0);
}

}  // namespace
}  // namespace sartor
