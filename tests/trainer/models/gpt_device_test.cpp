// The branch of accelerators reads no tensor back: a step runs on libtorch's meta device, which has no values and
// throws on any attempt to read one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <memory>

#include "models/gpt/device_decoder.h"
#include "models/gpt/model.h"
#include "models/transformer/ops/token_loss.h"
#include "operations.h"
#include "support/meta_operators.h"
#include "trainer/models/decoder_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;

class GptOnADevice : public ::testing::TestWithParam<std::string> {
  sartor::testing::MetaOperators operators_;
};
INSTANTIATE_TEST_SUITE_P(Families, GptOnADevice, ::testing::ValuesIn(all_families),
                         [](const auto& test) { return test.param; });

TEST_P(GptOnADevice, ReadsNothingBackInAStep) {
  const auto rows = random_rows({9, 30, 1});
  auto config = small_config(GetParam());
  config.embedding_dropout = config.hidden_dropout = 0.1;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    Gpt model(config, at::kMeta);
    model.train();
    model.compute_in(type);
    const auto batch = transformer::pack(input_spec(config), rows, {}, at::kMeta);
    const auto hidden = model.hidden(batch);
    EXPECT_EQ(hidden.sizes(), (std::vector<int64_t>{40, 24}));
    const auto targets = at::empty({40}, at::TensorOptions(at::kMeta).dtype(at::kLong));
    const auto weights = at::empty({40}, at::TensorOptions(at::kMeta).dtype(at::kFloat));
    transformer::token_loss(hidden, model.output_weight(), targets, weights, type).backward();
    for (const auto& [name, parameter] : model.parameters()) {
      ASSERT_TRUE(parameter.grad().defined()) << name;
      EXPECT_EQ(parameter.grad().sizes(), parameter.sizes()) << name;
    }
  }
}

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

TEST_P(GptOnADevice, ReadsNothingBackWhenItDecodes) {
  const auto config = small_config(GetParam());
  const auto rows = random_rows({9, 30});
  const std::vector<int32_t> tables[] = {{0}, {1, 2}, {3}};
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    DeviceDecoder decoder(Gpt(config, at::kMeta), type, cuda::Context(std::make_unique<NoDevice>()));
    decoder.allocate(4);
    EXPECT_EQ(decoder.bytes_per_block(), 2 * 2 * config.key_value_size() * 16 * (type == at::kFloat ? 4 : 2));
    NoDevice::appended = NoDevice::attended = 0;
    const int32_t last_ids[] = {0};
    const std::vector<DecoderChunk> chunks = {{.ids = rows[0], .blocks = tables[0], .logits = 1},
                                              {.slot = 0, .first = 5, .blocks = tables[2], .logits = 1},
                                              {.ids = rows[1], .blocks = tables[1], .logits = 2}};
    const auto logits = decoder.run(chunks, last_ids);
    EXPECT_EQ(logits.rows, 4);
    EXPECT_EQ(logits.columns, 61);
    EXPECT_EQ(NoDevice::appended, 2) << "once per layer";
    EXPECT_EQ(NoDevice::attended, 2);
    decoder.copy_block(0, 1);
  }
}

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
      DeviceDecoder decoder(model, type, cuda::Context::cpu(1));
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
  DeviceDecoder decoder(model, at::kFloat, cuda::Context::cpu(1));
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

}  // namespace
}  // namespace sartor::gpt
