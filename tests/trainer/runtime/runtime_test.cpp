// Devices, thread pools, ranks, signals and libtorch's CUDA module. Things that work only once per process are tested
// in child processes.
#include "runtime/runtime.h"

#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <arrow/io/type_fwd.h>
#include <arrow/util/thread_pool.h>
#include <gmock/gmock.h>
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <vector>

#include "core/gpu/module.h"
#include "core/processors.h"
#include "runtime/memory.h"
#include "runtime/process_group.h"
#include "runtime/torch_module.h"
#include "support/ranks.h"
#include "support/stop_signals.h"

namespace sartor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ExitedWithCode;
using ::testing::HasSubstr;
using ::testing::KilledBySignal;
using ::testing::StartsWith;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

RuntimeConfig on(Device device, int64_t threads = 0) {
  RuntimeConfig config;
  config.device = device;
  config.threads = threads;
  return config;
}

class RuntimeTest : public ::testing::Test {
 protected:
  RuntimeTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }  // the child is a new process
  ~RuntimeTest() override {
    for (const auto name :
         {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"})
      unsetenv(name);
  }
};

TEST_F(RuntimeTest, ThreadsSizesEveryPool) {
  const auto sized = [](int threads) {
    return at::get_num_threads() == threads && at::get_num_interop_threads() == 3 &&
           arrow::GetCpuThreadPoolCapacity() == threads && arrow::io::GetIOThreadPoolCapacity() == threads;
  };
  const auto both = [&] {
    const bool three = make_runtime(on(Device::cpu, 3)).threads == 3 && sized(3);
    const bool two = make_runtime(on(Device::cpu, 2)).threads == 2 && sized(2);
    return three && two;
  };
  EXPECT_EXIT(_exit(both() ? 0 : 1), ExitedWithCode(0), "");
}

TEST_F(RuntimeTest, ThreadsAreSharedAmongTheProcessesOfAMachine) {
  EXPECT_EQ(make_runtime(on(Device::cpu)).threads, cuda::available_threads());
  setenv("LOCAL_WORLD_SIZE", "1000000", 1);
  EXPECT_EQ(make_runtime(on(Device::cpu)).threads, 1);
  EXPECT_EQ(make_runtime(on(Device::cpu, 2)).threads, 2) << "the config sets the threads of each process";
}

TEST_F(RuntimeTest, LaunchIsThatOfTorchrun) {
  EXPECT_EQ(Launch::from_environment().id, "");
  setenv("TORCHELASTIC_RUN_ID", "夏季-7", 1);
  setenv("TORCHELASTIC_RESTART_COUNT", "2", 1);
  EXPECT_EQ(Launch::from_environment().id, "夏季-7");
  EXPECT_EQ(Launch::from_environment().restarts, 2);
  setenv("TORCHELASTIC_RUN_ID", "none", 1);  // torchrun's value if it is given no id
  const auto unnamed = Launch::from_environment().id;
  EXPECT_THAT(unnamed, HasSubstr(fmt::format(":{}:", getppid())));
  EXPECT_EQ(Launch::from_environment().id, unnamed);
  setenv("TORCHELASTIC_RESTART_COUNT", "twice", 1);
  EXPECT_THAT([] { Launch::from_environment(); },
              ThrowsMessage<std::invalid_argument>(
                  StrEq("the environment variable TORCHELASTIC_RESTART_COUNT is 'twice', expected a number")));
}

TEST_F(RuntimeTest, PeakMemoryGrowsWithWhatIsTouched) {
  const double before = peak_resident_mib();
  EXPECT_GT(before, 1);
  const std::vector<char> taken(256 << 20, 1);
  EXPECT_GT(peak_resident_mib() + taken[5], before + 200) << "of 256 more";
  EXPECT_EQ(peak_gpu_mib(-1), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their malloc() delays reuse
TEST_F(RuntimeTest, AFreedTensorsPlaceServesTheNextOfItsSize) {
  keep_freed_memory();
  const size_t before = mallinfo2().arena;
  std::vector<std::unique_ptr<char[]>> others;
  for (int step = 0; step < 50; step++) {
    const auto tensor = at::empty({1 << 20});
    for (int i = 0; i < 3; i++) others.push_back(std::make_unique<char[]>(24));
  }
  EXPECT_LT(mallinfo2().arena - before, 12 << 20) << "bytes, although only 4 MiB are in use";
}
#endif

TEST_F(RuntimeTest, RanksComeFromTheEnvironment) {
  EXPECT_EQ(Ranks::from_environment().world_size, 1);
  setenv("RANK", "5", 1);
  setenv("WORLD_SIZE", "8", 1);
  setenv("LOCAL_RANK", "1", 1);
  setenv("LOCAL_WORLD_SIZE", "4", 1);
  const auto ranks = Ranks::from_environment();
  EXPECT_EQ(ranks.rank, 5);
  EXPECT_EQ(ranks.world_size, 8);
  EXPECT_EQ(ranks.local_rank, 1);
  EXPECT_EQ(ranks.local_world_size, 4);

  const auto refused = [](const char* name, const char* value, const std::string& message) {
    const std::string before = std::getenv(name);
    setenv(name, value, 1);
    EXPECT_THAT([] { Ranks::from_environment(); }, ThrowsMessage<std::invalid_argument>(StrEq(message)));
    setenv(name, before.c_str(), 1);
  };
  refused("RANK", "五", "the environment variable RANK is '五', expected a number");
  refused("WORLD_SIZE", "", "the environment variable WORLD_SIZE is '', expected a number");
  refused("RANK", "8", "RANK is 8, WORLD_SIZE 8");
  refused("LOCAL_RANK", "-1", "LOCAL_RANK is -1, LOCAL_WORLD_SIZE 4");
}

TEST_F(RuntimeTest, AutoTakesTheCpuWithoutADeviceAndSaysWhy) {
  if (cuda::gpu_count() > 0) GTEST_SKIP() << "there is a GPU";
  const auto runtime = make_runtime(on(Device::automatic, 1));
  EXPECT_FALSE(runtime.context.is_gpu());
  EXPECT_THAT(runtime.device, AllOf(StartsWith("CPU"), HasSubstr("no GPU: ")));
  EXPECT_THAT(make_runtime(on(Device::cpu, 1)).device, ::testing::Not(HasSubstr("GPU")));
  EXPECT_THAT([] { make_runtime(on(Device::cuda)); },
              ThrowsMessage<std::invalid_argument>(StartsWith("device is cuda: ")));
}

TEST_F(RuntimeTest, GpuIsTakenByLocalRank) {
  if (cuda::gpu_count() == 0) GTEST_SKIP() << "there is no GPU";
  EXPECT_TRUE(make_runtime(on(Device::automatic)).context.is_gpu());
  EXPECT_TRUE(make_runtime(on(Device::cuda)).context.is_gpu());
  setenv("LOCAL_WORLD_SIZE", "1000", 1);
  setenv("LOCAL_RANK", "999", 1);
  EXPECT_THAT([] { make_runtime(on(Device::cuda)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("process 999 on this machine")));
}

TEST_F(RuntimeTest, VersionsNameTheProgramAndItsLibraries) {
  const auto all = versions();
  for (const auto name : {"sartor", "libtorch", "arrow", "hdf5", "compiler"}) EXPECT_NE(all.at(name), "") << name;
}

TEST_F(RuntimeTest, FirstSignalIsNotedAndTheSecondEndsTheProcess) {
  EXPECT_EQ(stop_signal(), 0);
  const auto signalled_twice = [] {
    catch_stop_signals();
    send_stop_signal(SIGTERM);
    kill(getpid(), SIGINT);
    while (true) pause();
  };
  EXPECT_EXIT(signalled_twice(), KilledBySignal(SIGINT), "");
  const auto signalled_under_torchrun = [] {
    catch_stop_signals(/*launched=*/true);
    send_stop_signal(SIGTERM);
    send_stop_signal(SIGINT);
    _exit(0);
  };
  EXPECT_EXIT(signalled_under_torchrun(), ExitedWithCode(0), "");
}

TEST_F(RuntimeTest, HangupIsAStopSignalUnlessItIsIgnored) {
  const auto hung_up = [] {
    catch_stop_signals();
    send_stop_signal(SIGHUP);
    _exit(0);
  };
  EXPECT_EXIT(hung_up(), ExitedWithCode(0), "");
  const auto under_nohup = [] {
    std::signal(SIGHUP, SIG_IGN);
    catch_stop_signals();
    kill(getpid(), SIGHUP);
    send_stop_signal(SIGTERM);  // a second signal would end the process
    _exit(0);
  };
  EXPECT_EXIT(under_nohup(), ExitedWithCode(0), "");
}

// The store outlives rank 0, like that of torchrun.
TEST_F(RuntimeTest, ARankThatIsAskedToStopDoesNotWaitForADeadOne) {
  setenv("MASTER_ADDR", "127.0.0.1", 1);
  setenv("MASTER_PORT", std::to_string(testing::free_port()).c_str(), 1);
  const auto waited = [] {
    catch_stop_signals(/*launched=*/true);
    const auto join = [](int rank) {
      return std::make_unique<ProcessGroup>(
          Ranks{.rank = rank, .world_size = 2, .local_rank = rank, .local_world_size = 2},
          /*gpu=*/false, std::chrono::seconds(3600));
    };
    auto joining = std::async(std::launch::async, join, 1);
    const auto first = join(0);
    const auto second = joining.get();
    first->from_first("夏季");
    if (second->from_first("") != "夏季") _exit(3);
    send_stop_signal(SIGTERM);
    try {
      second->from_first("");
    } catch (const Stopped& stopped) {
      std::fprintf(stderr, "%s\n", stopped.what());
      _exit(stopped.signal);
    }
  };
  EXPECT_EXIT(waited(), ExitedWithCode(SIGTERM), "stopped by SIGTERM while waiting for rank 0");
  for (const auto name : {"MASTER_ADDR", "MASTER_PORT"}) unsetenv(name);
}

TEST_F(RuntimeTest, TorchModuleCountsTheDevices) {
  const auto [module, why_not] = find_torch_module();
#ifdef SARTOR_WITHOUT_CUDA
  EXPECT_EQ(module, nullptr);
  EXPECT_EQ(why_not, "this build has no GPU support (SARTOR_CUDA=OFF)");
#else
  ASSERT_NE(module, nullptr) << why_not;
  std::string reason;
  const int devices = module->device_count(reason);
  EXPECT_EQ(devices, cuda::gpu_count());
  EXPECT_EQ(reason.empty(), devices > 0) << reason;
#endif
}

#ifndef SARTOR_WITHOUT_CUDA
// The files of a library that are mapped into this process.
std::set<std::string> mapped(const std::string& library) {
  std::set<std::string> files;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/" + library + ".so") != line.npos) files.insert(line.substr(line.find('/')));
  }
  return files;
}

TEST_F(RuntimeTest, LibtorchKeepsItsOwnCudaLibrariesWhereTheKernelsAreLoadedFirst) {
  cuda::find_gpu_module();
  ASSERT_NE(find_torch_module().module, nullptr);
  for (const auto library : {"libcudart", "libcublas", "libcublasLt"}) {
    EXPECT_THAT(mapped(library), ElementsAre(HasSubstr("/site-packages/nvidia/")));
  }
}

TEST_F(RuntimeTest, GpuProcessGroupsEndTheirCollectivesInTime) {
  if (cuda::gpu_count() == 0) GTEST_SKIP() << "there is no GPU";
  const auto [module, why_not] = find_torch_module();
  ASSERT_NE(module, nullptr) << why_not;
  const auto store = c10::make_intrusive<c10d::HashStore>();
  const auto group =
      c10::intrusive_ptr<c10d::Backend>::reclaim(module->make_nccl(store.get(), 0, 1, std::chrono::seconds(77)));
  EXPECT_EQ(group->getBackendOptions()->timeout, std::chrono::seconds(77));
  EXPECT_NO_THROW(group->shutdown());
}

// Whether ATen uses libtorch_cuda. The first call fixes the answer for the life of the process.
bool aten_knows_cuda() {
  try {
    at::detail::getCUDAHooks().versionCUDART();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

TEST_F(RuntimeTest, TorchModuleIsKnownToAtenIfLoadedBeforeItIsAsked) {
  const auto loaded_first = [] { return find_torch_module().module && aten_knows_cuda(); };
  EXPECT_EXIT(_exit(loaded_first() ? 0 : 1), ExitedWithCode(0), "");
  const auto asked_first = [] { return !aten_knows_cuda() && find_torch_module().module && !aten_knows_cuda(); };
  EXPECT_EXIT(_exit(asked_first() ? 0 : 1), ExitedWithCode(0), "")
      << "the load order required by torch_module.h is no longer needed";
}

TEST_F(RuntimeTest, MakingTheRuntimeDoesNotAskAtenForCuda) {
  const auto in_time = [] {
    make_runtime(on(Device::automatic));
    return find_torch_module().module && aten_knows_cuda();
  };
  EXPECT_EXIT(_exit(in_time() ? 0 : 1), ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace sartor
