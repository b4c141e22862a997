// Decoding on an accelerator: a step sends one block and reads nothing back, on libtorch's meta device; its numbers are
// those of the model, on the CPU in place of a device.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/library.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "models/gpt/device_decoder.h"
#include "models/gpt/model.h"
#include "operations.h"
#include "support/meta_operators.h"
#include "support/plain_copies.h"
#include "support/step_observer.h"
#include "trainer/models/decoder_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;
using sartor::testing::PlainCopies;

// A device without memory whose operations do nothing but count.
class NoDevice : public cuda::Backend {
 public:
  bool is_gpu() const override { return true; }
  std::string description() const override { return "none"; }
  const cuda::Operations& operations() const override {
    static const cuda::Operations table = {
        .append_to_cache = [](cuda::Context&, const cuda::CacheTask&) { appended++; },
        .decode_attention = [](cuda::Context&, const cuda::DecodeAttentionTask&) { attended++; }};
    return table;
  }
  void* allocate(size_t) override { return nullptr; }
  void release(void*) noexcept override {}
  size_t free_bytes() const override { return 0; }
  void copy_in(void*, const void*, size_t) override { FAIL() << "a blocking copy"; }
  void copy_out(void*, const void*, size_t) override { FAIL() << "a blocking copy"; }
  void fill_zero(void*, size_t) override {}
  void synchronize() override { FAIL() << "waits for the device"; }
  void use_stream(void*) override {}

  static inline int appended = 0, attended = 0;
};

at::Tensor roll(const at::Tensor& x, c10::SymIntArrayRef, at::IntArrayRef) { return at::empty_like(x); }
at::Tensor& nan_to_num(const at::Tensor& x, std::optional<double>, std::optional<double>, std::optional<double>,
                       at::Tensor& out) {
  out.resize_(x.sizes());
  return out;
}

// Shape functions that only decoding needs.
class DecodingOperators {
 public:
  DecodingOperators() : library_(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__) {
    library_.impl("nan_to_num.out", nan_to_num);
    const auto rolls = c10::Dispatcher::singleton().findSchemaOrThrow("aten::roll", "");
    if (!rolls.hasKernelForDispatchKey(c10::DispatchKey::Meta)) library_.impl("roll", roll);
  }

 private:
  sartor::testing::MetaOperators operators_;
  torch::Library library_;
};

class DeviceDecoderOnMeta : public ::testing::TestWithParam<std::string> {
 protected:
  DeviceDecoder decoder(at::ScalarType type) const {
    return DeviceDecoder(Gpt(config_, at::kMeta), type, cuda::Context(std::make_unique<NoDevice>()),
                         Transfer(at::kMeta, copies_));
  }
  // Counts of a call, after one that computes tables.
  sartor::testing::StepCounts counts_of(DeviceDecoder& decoder, std::span<const DecoderChunk> chunks) const {
    const int32_t last_ids[] = {0};
    decoder.run(chunks, last_ids);
    NoDevice::appended = NoDevice::attended = 0;
    copies_->sent = copies_->awaited = 0;
    sartor::testing::StepObserver observer;
    decoder.run(chunks, last_ids);
    const auto counts = observer.take();
    EXPECT_EQ(copies_->sent, 1);
    EXPECT_EQ(copies_->awaited, 1);
    EXPECT_EQ(copies_->fetched, 0);
    EXPECT_EQ(counts.copies_in, 1) << counts.text();
    EXPECT_EQ(counts.copies_out, 0) << counts.text();
    EXPECT_EQ(NoDevice::appended, 2) << "once per layer";
    return counts;
  }

  const GptConfig config_ = small_config(GetParam());
  const sartor::testing::Rows rows_ = random_rows({9, 30});
  const std::vector<int32_t> tables_[3] = {{0}, {1, 2}, {3}};
  std::shared_ptr<PlainCopies> copies_ = std::make_shared<PlainCopies>(at::kMeta);
  DecodingOperators operators_;
};
INSTANTIATE_TEST_SUITE_P(Families, DeviceDecoderOnMeta, ::testing::ValuesIn(all_families),
                         [](const auto& test) { return test.param; });

TEST_P(DeviceDecoderOnMeta, APromptIsOneCopyAndNoReadBack) {
  const std::vector<DecoderChunk> chunks = {{.ids = rows_[0], .blocks = tables_[0], .logits = 1},
                                            {.slot = 0, .first = 5, .blocks = tables_[2], .logits = 1},
                                            {.ids = rows_[1], .blocks = tables_[1], .logits = 2}};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    auto decoder = this->decoder(type);
    decoder.allocate(4);
    EXPECT_EQ(decoder.bytes_per_block(), 2 * 2 * config_.key_value_size() * 16 * (type == at::kFloat ? 4 : 2));
    counts_of(decoder, chunks);
    EXPECT_EQ(NoDevice::attended, 2);
    const auto logits = decoder.run(chunks, rows_[0].data());
    EXPECT_EQ(logits.rows, 4);
    EXPECT_EQ(logits.columns, 61);
  }
}

// A step with tokens that only the device knows, which is how most of a text is written.
TEST_P(DeviceDecoderOnMeta, AStepIsOneCopyAndFewOperators) {
  const std::vector<DecoderChunk> chunks = {{.slot = 0, .first = 4, .blocks = tables_[0], .logits = 1},
                                            {.slot = 0, .first = 20, .blocks = tables_[1], .logits = 1}};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    auto decoder = this->decoder(type);
    decoder.allocate(4);
    const auto counts = counts_of(decoder, chunks);
    EXPECT_EQ(NoDevice::attended, 2);
    EXPECT_LE(counts.operators, 70) << counts.text();
  }
}

TEST_P(DeviceDecoderOnMeta, ABlockIsCopiedInAllLayersTogether) {
  auto decoder = this->decoder(at::kFloat);
  decoder.allocate(4);
  sartor::testing::StepObserver observer;
  decoder.copy_block(0, 1);
  EXPECT_EQ(observer.take().of("aten::copy_"), 2) << "keys and values";
}

// What beam search asks for.
TEST_P(DeviceDecoderOnMeta, TheBestTokensAreOneCopyBack) {
  auto decoder = this->decoder(at::kFloat);
  auto* device = decoder.accelerator();
  const auto log_softmax = device->log_softmax({nullptr, 6, 61});
  EXPECT_EQ(log_softmax.rows, 6);
  EXPECT_EQ(log_softmax.columns, 61);
  EXPECT_EQ(device->largest(log_softmax, log_softmax, 4).size(), 24);
  EXPECT_EQ(copies_->fetched, 1);
}

// The device's road over the CPU's memory.
Transfer on_the_cpu() { return {at::kCPU, std::make_shared<PlainCopies>(at::kCPU)}; }

// libtorch's operators give the numbers of the model, on the CPU in place of a device.
TEST(DeviceDecoder, GivesTheNumbersOfTheModel) {
  const auto rows = random_rows({1, 40, 17, 16, 33});
  for (const auto& golden : testing::golden("gpt.json")) {
    const auto config = parse_config(golden["config"], "config.json");
    if (config.rotary.type == RotaryType::dynamic) continue;
    const auto model = made_model(config);
    const auto logits = model.logits(packed(config, rows)).detach();
    const double largest = logits.abs().max().item<double>();
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      DeviceDecoder decoder(model, type, cuda::Context::cpu(1), on_the_cpu());
      const double tolerance = type == at::kFloat ? 1e-5 : 0.05;
      for (const DecodingPlan& plan :
           {DecodingPlan(), {.longest = 1}, {.longest = 7, .permuted = true}, {.longest = 30, .seed = 2}}) {
        EXPECT_LT(largest_difference(decoded(decoder, rows, plan), logits), tolerance * largest)
            << golden["name"] << " in chunks of up to " << plan.longest;
      }
    }
  }
}

TEST(DeviceDecoder, TakesIdsFromSlots) {
  const auto rows = random_rows({8, 5});
  const auto model = made_model(small_config("llama"));
  DeviceDecoder decoder(model, at::kFloat, cuda::Context::cpu(1), on_the_cpu());
  const auto all = decoded(decoder, rows, {.longest = 1});
  decoder.allocate(2);
  const std::vector<int32_t> tables[] = {{0}, {1}}, last_ids = {60, rows[1][4], rows[0][7]};
  decoder.run(std::vector<DecoderChunk>{{.ids = std::span(rows[0]).first(7), .blocks = tables[0]},
                                        {.ids = std::span(rows[1]).first(4), .blocks = tables[1]}});
  const std::vector<DecoderChunk> chunks = {{.slot = 2, .first = 7, .blocks = tables[0], .logits = 1},
                                            {.slot = 1, .first = 4, .blocks = tables[1], .logits = 1}};
  const auto found = decoder.run(chunks, last_ids.data());
  const auto logits = at::from_blob(found.data, {2, 61});
  EXPECT_LT(largest_difference(logits, all.index_select(0, at::tensor({7, 12}))), 1e-5);
}

TEST(DeviceDecoder, ItsDeviceSendsAndFetches) {
  DeviceDecoder decoder(made_model(small_config("gpt2")), at::kFloat, cuda::Context::cpu(1), on_the_cpu());
  auto* device = decoder.accelerator();
  const std::vector<int32_t> first = {3, 1, 4}, none;
  const std::vector<double> second = {2.5, -1};
  const auto sent = device->send(
      std::array{std::as_bytes(std::span(first)), std::as_bytes(std::span(none)), std::as_bytes(std::span(second))});
  ASSERT_EQ(sent.arrays.size(), 3);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(sent.arrays[2]) % 16, 0);
  EXPECT_TRUE(std::ranges::equal(std::span(static_cast<int32_t*>(sent.arrays[0]), 3), first));
  EXPECT_TRUE(std::ranges::equal(std::span(static_cast<double*>(sent.arrays[2]), 2), second));
  const auto late = device->fetch(sent.arrays[0], 12);
  EXPECT_TRUE(std::ranges::equal(late->take(), std::as_bytes(std::span(first))));
}

TEST(DeviceDecoder, ItsDeviceFindsTheBestTokens) {
  DeviceDecoder decoder(made_model(small_config("gpt2")), at::kFloat, cuda::Context::cpu(1), on_the_cpu());
  auto* device = decoder.accelerator();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {0, 3, NAN, 2, -infinity, -infinity, -2, -infinity, -1, infinity},
                           others = {10, 11, 12, 13, 14, 20, 21, 22, 23, 24};
  const auto rows = [](const std::vector<float>& all) { return cuda::Rows<const float>{all.data(), 2, 5}; };
  const auto best = device->largest(rows(values), rows(others), 3);
  ASSERT_EQ(best.size(), 6);
  const auto expect = [&](int i, int32_t id, float value, float other) {
    EXPECT_EQ(best[i].id, id) << i;
    EXPECT_EQ(best[i].value, value) << i;
    EXPECT_EQ(best[i].other, other) << i;
  };
  expect(0, 1, 3, 11);
  expect(1, 3, 2, 13);
  expect(2, 0, 0, 10);
  expect(3, 4, infinity, 24);
  expect(4, 3, -1, 23);
  expect(5, 1, -2, 21);
  const std::vector<float> logits = {1, 2, 3, 4, 5};
  const auto log_softmax = device->log_softmax({logits.data(), 1, 5});
  double sum = 0;
  for (const float x : logits) sum += std::exp(x);
  for (int i = 0; i < 5; i++) EXPECT_NEAR(log_softmax.row(0)[i], logits[i] - std::log(sum), 1e-6);
}

}  // namespace
}  // namespace sartor::gpt
