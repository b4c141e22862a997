// Tests of contexts, device memory and threads.
#include <dlfcn.h>
#include <gmock/gmock.h>

#include <atomic>
#include <set>

#include "core/context.h"
#include "core/device_buffer.h"
#include "core/gpu/module.h"
#include "core/parallel_for.h"
#include "similarity/topk.h"

namespace sartor::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    for (const int64_t size : {0, 1, 7, 64, 1009}) {
      for (const int64_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> visits(size);
        parallel_for(threads, size, grain, [&](int64_t begin, int64_t end, int thread) {
          EXPECT_TRUE(0 <= thread && thread < threads);
          EXPECT_LE(end - begin, std::max<int64_t>(grain, 1));
          for (int64_t i = begin; i < end; i++) visits[i]++;
        });
        for (int64_t i = 0; i < size; i++) EXPECT_EQ(visits[i], 1) << i << " of " << size;
      }
    }
  }
}

TEST(ParallelFor, AThreadHoldsOneRangeAtATime) {
  std::vector<int64_t> sums(4);  // not atomic, so that races in parallel_for are detected
  parallel_for(4, 10000, 7, [&](int64_t begin, int64_t end, int thread) { sums[thread] += end - begin; });
  EXPECT_EQ(sums[0] + sums[1] + sums[2] + sums[3], 10000);
}

TEST(ParallelFor, RethrowsTheFirstException) {
  for (const int threads : {1, 4}) {
    std::atomic<int64_t> begun = 0;
    EXPECT_THAT(
        [&] {
          parallel_for(threads, 1000000, 1, [&](int64_t begin, int64_t, int) {
            begun++;
            if (begin == 5) throw std::runtime_error("range 5");
          });
        },
        ThrowsMessage<std::runtime_error>(HasSubstr("range 5")));
    EXPECT_LT(begun, 1000000);
  }
}

TEST(Isa, EachIncludesTheOneBeforeIt) {
  constexpr Isa all[] = {Isa::v3, Isa::v4, Isa::v4_vnni, Isa::v4_bf16};
  std::set<std::string_view> names;
  for (const Isa isa : all) {
    names.insert(name(isa));
    EXPECT_LE(best_isa(isa), isa);
    EXPECT_TRUE(supported(best_isa(isa)));
    if (!supported(isa)) continue;
    EXPECT_EQ(best_isa(isa), isa);
    for (const Isa lower : all) EXPECT_TRUE(lower > isa || supported(lower));
  }
  EXPECT_EQ(names.size(), 4);
}

TEST(Isa, BestOfTakesTheHighestBuildThatTheLevelIncludes) {
  const int v3 = 3, v4 = 4, v4_vnni = 5, v4_bf16 = 6;
  EXPECT_EQ(&best_of(Isa::v3, v3, v4), &v3);
  for (const Isa isa : {Isa::v4, Isa::v4_vnni, Isa::v4_bf16}) EXPECT_EQ(&best_of(isa, v3, v4), &v4);
  for (const Isa isa : {Isa::v3, Isa::v4_bf16}) EXPECT_EQ(&best_of(isa, v3), &v3);
  EXPECT_EQ(&best_of(Isa::v4, v3, v4, v4_vnni, v4_bf16), &v4);
  EXPECT_EQ(&best_of(Isa::v4_vnni, v3, v4, v4_vnni, v4_bf16), &v4_vnni);
  EXPECT_EQ(&best_of(Isa::v4_bf16, v3, v4, v4_vnni, v4_bf16), &v4_bf16);
}

TEST(ContextCpu, DescribesItselfAndRefusesNonsense) {
  EXPECT_THAT(Context::cpu(2).backend().description(), HasSubstr("2 threads"));
  EXPECT_FALSE(Context::cpu().is_gpu());
  EXPECT_THAT([] { Context::cpu(-1); }, ThrowsMessage<std::invalid_argument>(HasSubstr("threads is -1")));
}

TEST(ContextCpu, ScratchGrowsAndIsKept) {
  Context context = Context::cpu(1);
  void* small = context.scratch(100);
  EXPECT_EQ(context.scratch(10), small);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(context.scratch(10 << 20)) % 256, 0u);
  Context moved = std::move(context);
  EXPECT_NE(moved.scratch(5), nullptr);
}

TEST(ContextGpu, SaysWhyThereIsNone) {
  std::string why_not;
  const int devices = gpu_count(&why_not);
  if (devices == 0) {
    EXPECT_THAT(why_not, ::testing::AnyOf(HasSubstr("driver"), HasSubstr("SARTOR_CUDA=OFF")));
    EXPECT_THAT([] { Context::gpu(); }, ThrowsMessage<std::runtime_error>(HasSubstr(why_not)));
  }
  EXPECT_THAT([&] { Context::gpu(devices); }, ThrowsMessage<std::runtime_error>(HasSubstr("no GPU")));
}

// Called with a CPU context and, if available, a GPU context.
void check_buffers(Context context) {
  DeviceBuffer<int32_t> buffer(context, std::vector<int32_t>{1, 2, 3, 4});
  buffer.write(std::vector<int32_t>{7, 8}, 1);
  EXPECT_THAT(buffer.to_host(), ElementsAre(1, 7, 8, 4));
  std::vector<int32_t> two(2);
  buffer.read(two, 2);
  EXPECT_THAT(two, ElementsAre(8, 4));
  EXPECT_THAT([&] { buffer.write(two, 3); }, ThrowsMessage<std::invalid_argument>(HasSubstr("elements 3 to 5 of 4")));
  EXPECT_THAT([&] { DeviceBuffer<float>(context, -1); }, ThrowsMessage<std::invalid_argument>(HasSubstr("size is -1")));

  DeviceBuffer<int32_t> moved = std::move(buffer);
  EXPECT_EQ(buffer.size(), 0);
  moved.fill_zero();
  EXPECT_THAT(moved.to_host(), ElementsAre(0, 0, 0, 0));
  DeviceBuffer<double> empty(context, 0);
  EXPECT_TRUE(empty.to_host().empty());
  EXPECT_GT(context.backend().free_bytes(), 0u);
}

TEST(DeviceBuffer, cpu) { check_buffers(Context::cpu(1)); }

TEST(DeviceBuffer, gpu) {
  std::string why_not;
  if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  check_buffers(Context::gpu());
}

TEST(DeviceBuffer, gpuMemoryThatIsMissingIsSaidAndForgotten) {
  std::string why_not;
  if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  Context context = Context::gpu();
  EXPECT_THAT([&] { DeviceBuffer<double>(context, int64_t{1} << 47); },
              ThrowsMessage<std::runtime_error>(HasSubstr("bytes of GPU memory, ")));
  const DeviceBuffer<float> row(context, std::vector<float>{2}), score(context, 1);
  const DeviceBuffer<int32_t> id(context, 1);
  topk(context, {.queries = {row.data(), 1, 1},
                 .items = {row.data(), 1, 1},
                 .params = {.k = 1, .similarity = Similarity::dot},
                 .found = {1, 1, score.data(), id.data()}});
  EXPECT_THAT(score.to_host(), ElementsAre(4));
}

// CUDA's runtime library as the GPU module has loaded it; this program is not linked with it.
template <class Function> Function* runtime_function(const char* name) {
  static void* const library = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
  return library ? reinterpret_cast<Function*>(dlsym(library, name)) : nullptr;
}

TEST(ContextGpu, UsesTheCallersStream) {
  std::string why_not;
  if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  Context context = Context::gpu();
  auto* const create = runtime_function<int(void**)>("cudaStreamCreate");
  auto* const destroy = runtime_function<int(void*)>("cudaStreamDestroy");
  auto* const query = runtime_function<int(void*)>("cudaStreamQuery");
  ASSERT_TRUE(create && destroy && query);
  void* stream = nullptr;
  ASSERT_EQ(create(&stream), 0);
  const DeviceBuffer<float> row(context, std::vector<float>{2}), score(context, 1);
  const DeviceBuffer<int32_t> id(context, 1);
  for (void* const used : {stream, static_cast<void*>(nullptr), stream}) {  // null: the default stream
    context.use_stream(used);
    topk(context, {.queries = {row.data(), 1, 1},
                   .items = {row.data(), 1, 1},
                   .params = {.k = 1, .similarity = Similarity::dot},
                   .found = {1, 1, score.data(), id.data()}});
    EXPECT_THAT(score.to_host(), ElementsAre(4));
    EXPECT_EQ(query(used), 0);  // copying to the host has waited for this stream
  }
  context.use_stream(nullptr);
  EXPECT_EQ(destroy(stream), 0);
  EXPECT_THAT(score.to_host(), ElementsAre(4));
}

TEST(Context, CpuHasNoStream) {
  Context context = Context::cpu(1);
  context.use_stream(nullptr);
  context.use_stream(&context);
}

// Interleaves two contexts, so that each must select its own GPU: the device used last is the other one.
TEST(ContextGpu, EachGpuDoesItsOwnWork) {
  if (const int devices = gpu_count(); devices < 2) GTEST_SKIP() << "requires two GPUs, found " << devices;
  Context first = Context::gpu(0), second = Context::gpu(1);
  const std::vector<float> rows = {1, 0, 0, 1, 1, 1};
  struct Work {
    Context& context;
    DeviceBuffer<float> rows, scores;
    DeviceBuffer<int32_t> found;

    Work(Context& context, const std::vector<float>& values)
        : context(context), rows(context, std::span(values)), scores(context, 3), found(context, 3) {
      context.scratch(64 << 20);  // allocated now, so that no later allocation selects the device
    }
    void search() {
      topk(context, {.queries = {rows.data(), 3, 2},
                     .items = {rows.data(), 3, 2},
                     .params = {.k = 1},
                     .found = {3, 1, scores.data(), found.data()}});
    }
  };
  Work on_first(first, rows), on_second(second, rows);
  on_first.search();
  on_second.search();
  on_first.search();
  EXPECT_THAT(on_first.found.to_host(), ElementsAre(0, 1, 2));
  EXPECT_THAT(on_second.found.to_host(), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace sartor::cuda
