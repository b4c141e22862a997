// Decoding on the CPU: the numbers of the model, bitwise independent of batches, chunks, blocks and threads.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <random>

#include "models/gpt/cpu_decoder.h"
#include "support/folder_test.h"
#include "trainer/models/decoder_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using transformer::Precision;

class GptDecoder : public sartor::testing::FolderTest {
 protected:
  std::unique_ptr<Decoder> decoder(const GptConfig& config, Precision precision = Precision::fp32, int threads = 1) {
    save_gpt(made_model(config, 0.3), folder_);
    return open_decoder(folder_, precision, -1, threads);
  }
  // Rounds the saved weights.
  void store_as(at::ScalarType type) {
    const std::map<at::ScalarType, hf::Dtype> names = {
        {at::kBFloat16, hf::Dtype::bf16}, {at::kHalf, hf::Dtype::f16}, {at::kDouble, hf::Dtype::f64}};
    NamedTensors kept;
    std::vector<hf::TensorView> views;
    for (const auto& [name, tensor] : read_tensors(folder_ / "model.safetensors")) {
      const auto& rounded = kept.emplace_back(NamedTensor{name, tensor.to(type)}).tensor;
      const auto* bytes = static_cast<const std::byte*>(rounded.const_data_ptr());
      views.push_back({name, names.at(type), rounded.sizes().vec(), {bytes, rounded.nbytes()}});
    }
    hf::write_safetensors(folder_ / "model.safetensors", views);
  }
};

// Longest position from which dynamic scaling makes decoding differ from a whole sequence.
int64_t comparable(const GptConfig& config, int64_t length) {
  return config.rotary.type == RotaryType::dynamic ? std::min(length, config.max_position_embeddings) : length;
}

TEST_F(GptDecoder, GivesTheNumbersOfTransformersAndOfTheModel) {
  for (const auto& golden : testing::golden("gpt.json")) {
    const auto config = parse_config(golden["config"], "config.json");
    const std::string name = golden["name"];
    auto rows = golden["ids"].get<Rows>();
    const auto some = decoder(config);
    const auto all = decoded(*some, rows);
    const double largest = golden["largest"];
    if (config.rotary.type != RotaryType::dynamic) {
      const auto logits = all.index_select(0, at::arange(0, all.size(0), 7, at::kLong));
      EXPECT_LT(largest_difference(logits, tensor(golden["logits"], logits.sizes())), 1e-5 * largest) << name;
    }
    for (auto& row : rows) row.resize(comparable(config, std::ssize(row)));
    const auto model = made_model(config);
    const double difference =
        largest_difference(decoded(*some, rows), model.logits(packed(config, rows)).detach()) / largest;
    fmt::print("{}: {:.1e} of the largest logit\n", name, difference);
    EXPECT_LT(difference, 1e-5) << name;
  }
}

TEST_F(GptDecoder, DoesNotDependOnBatchesChunksBlocksAndThreads) {
  const auto rows = random_rows({1, 40, 17, 150, 16, 33, 5});
  for (const auto& family : all_families) {
    for (const auto precision : {Precision::fp32, Precision::int8, Precision::bf16}) {
      const auto one = decoder(small_config(family), precision);
      const auto two = decoder(small_config(family), precision, 2);
      const auto whole = decoded(*one, rows);
      const auto expect_same = [&](Decoder& which, const DecodingPlan& plan, const char* what) {
        EXPECT_TRUE(decoded(which, rows, plan).equal(whole))
            << family << " " << static_cast<int>(precision) << ": " << what;
      };
      expect_same(*one, {.together = false}, "single");
      expect_same(*one, {.longest = 1}, "token by token");
      expect_same(*one, {.longest = 1, .together = false}, "token by token, single");
      expect_same(*one, {.longest = 7, .permuted = true}, "chunks, permuted blocks");
      expect_same(*one, {.shortest = 16, .longest = 16, .permuted = true, .seed = 2}, "chunks of a block");
      expect_same(*two, {}, "two threads");
      expect_same(*two, {.longest = 20, .permuted = true, .seed = 3}, "two threads, chunks");
    }
  }
}

// As transformers: see DecodingRotary.
TEST_F(GptDecoder, DynamicScalingDependsOnThePositionAlone) {
  const auto config = small_config(
      "llama", {{"max_position_embeddings", 20}, {"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 4.0}}}});
  const auto rows = random_rows({60});
  const auto dynamic = decoder(config);
  const auto whole = decoded(*dynamic, rows);
  EXPECT_TRUE(decoded(*dynamic, rows, {.longest = 9, .permuted = true}).equal(whole));

  DecodingRotary rotary(config);
  rotary.extend(60);
  for (const int64_t position : {0, 19, 20, 45}) {
    const auto angles = inverse_frequencies(config, position + 1) * static_cast<double>(position);
    EXPECT_LT(largest_difference(rotary.cos()[position], angles.cos()), 1e-6) << position;
    EXPECT_LT(largest_difference(rotary.sin()[position], angles.sin()), 1e-6) << position;
  }
  DecodingRotary longer(config);
  longer.extend(1);
  longer.extend(700);
  rotary.extend(700);
  EXPECT_TRUE(longer.cos().equal(rotary.cos()) && longer.sin().equal(rotary.sin()));
}

TEST_F(GptDecoder, ReturnsTheWantedLogits) {
  const auto rows = random_rows({19, 4, 33});
  for (const auto& family : all_families) {
    const auto some = decoder(small_config(family));
    const auto all = decoded(*some, rows);
    const std::vector<std::vector<int32_t>> tables = {{3, 1}, {0}, {5, 2, 4}};
    some->allocate(6);
    const auto run = [&](int64_t first, int64_t second, int64_t third) {
      const std::vector<DecoderChunk> chunks = {{.ids = rows[0], .blocks = tables[0], .logits = first},
                                                {.ids = rows[1], .blocks = tables[1], .logits = second},
                                                {.ids = rows[2], .blocks = tables[2], .logits = third}};
      const auto found = some->run(chunks);
      return at::from_blob(found.data, {found.rows, found.columns}).clone();
    };
    EXPECT_TRUE(run(1, 0, 2).equal(all.index_select(0, at::tensor({18, 54, 55})))) << family;
    EXPECT_TRUE(run(0, 4, 0).equal(all.narrow(0, 19, 4))) << family;
    EXPECT_EQ(run(0, 0, 0).size(0), 0);
    EXPECT_EQ(some->run({}).rows, 0);
  }
}

TEST_F(GptDecoder, TakesIdsFromSlotsAndCopiesBlocks) {
  const auto rows = random_rows({22});
  const auto some = decoder(small_config("qwen3"));
  const auto all = decoded(*some, rows);
  some->allocate(4);
  const std::vector<int32_t> table = {2, 0}, copied = {2, 3};
  some->run(std::vector<DecoderChunk>{{.ids = std::span(rows[0]).first(21), .blocks = table}});
  some->copy_block(0, 3);
  const std::vector<int32_t> last_ids = {60, 59, rows[0][21]};
  const std::vector<DecoderChunk> chunks = {
      {.ids = std::span(rows[0]).subspan(21), .first = 21, .blocks = table, .logits = 1},
      {.slot = 2, .first = 21, .blocks = copied, .logits = 1}};
  const auto found = some->run(chunks, last_ids.data());
  for (int64_t r = 0; r < 2; r++) EXPECT_TRUE(at::from_blob(found.row(r), {61}).equal(all[21])) << r;
}

TEST_F(GptDecoder, OpensFoldersOfEveryDtype) {
  const auto rows = random_rows({12, 3});
  for (const auto type : {at::kBFloat16, at::kHalf, at::kDouble}) {
    for (const bool tied : {false, true}) {
      const auto model = made_model(small_config("llama", {{"tie_word_embeddings", tied}}));
      save_gpt(model, folder_);
      store_as(type);
      for (const auto precision : {Precision::fp32, Precision::bf16}) {
        const auto decoder = open_decoder(folder_, precision, -1, 1);
        auto expected = load_gpt(folder_);
        expected.compute_in(precision == Precision::bf16 ? at::kBFloat16 : at::kFloat);
        const auto logits = expected.logits(packed(model.config(), rows)).detach();
        const double largest = logits.abs().max().item<double>();
        EXPECT_LT(largest_difference(decoded(*decoder, rows), logits),
                  (precision == Precision::bf16 ? 0.02 : 1e-5) * largest)
            << c10::toString(type) << " " << tied;
      }
    }
  }
}

TEST_F(GptDecoder, RefusesWhatIsOutOfRange) {
  const auto some = decoder(small_config("gpt2"));
  some->allocate(2);
  const std::vector<int32_t> ids = {1, 2, 3}, table = {0}, wide = {61}, negative = {-1}, outside = {2};
  const auto refused = [&](const DecoderChunk& chunk, const std::string& why) {
    EXPECT_THAT([&] { some->run(std::vector{chunk}); }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  };
  refused({.ids = wide, .blocks = table}, "token id 61 with a vocabulary of 61");
  refused({.ids = negative, .blocks = table}, "token id -1");
  refused({.ids = ids, .first = 198, .blocks = table}, "positions 198 to 200, but the model has 200 positions");
  refused({.ids = ids, .first = 14, .blocks = table}, "1 blocks for 17 positions");
  refused({.ids = ids, .blocks = outside}, "block 2 of 2");
  refused({.ids = ids, .blocks = table, .logits = 4}, "logits of 4 of 3 tokens");
  refused({.slot = 0, .blocks = table}, "no ids");
}

TEST_F(GptDecoder, RefusesFoldersThatItCannotOpen) {
  save_gpt(made_model(small_config("llama")), folder_);
  const auto refused = [&](Precision precision, int gpu, const std::string& why) {
    EXPECT_THAT([&] { open_decoder(folder_, precision, gpu, 1); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  };
  refused(Precision::int8, 0, "int8");
  std::filesystem::remove(folder_ / "model.safetensors");
  refused(Precision::fp32, -1, "has neither model.safetensors nor");
  write("adapter_config.json", "{}");
  refused(Precision::fp32, -1, "adapter_config.json");
}

// A language in which a token determines the next one, except for every fourth.
Rows made_texts(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Rows rows;
  for (int64_t r = 0; r < count; r++) {
    auto& row = rows.emplace_back(std::vector<int32_t>{static_cast<int32_t>(2 + random() % 50)});
    while (row.size() < 16) {
      const int32_t next = (row.back() * 7 + 3) % 50;
      row.push_back(2 + (random() % 4 == 0 ? static_cast<int32_t>(random() % 50) : next));
    }
  }
  return rows;
}

// Adam
void train_on_made_texts(Gpt& model, int steps) {
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> moments;
  for (int step = 0; step < steps; step++) {
    mean_loss(model, made_texts(32, 100 + step)).backward();
    const c10::NoGradGuard no_gradients;
    for (const auto& [name, parameter] : model.parameters()) {
      const auto gradient = parameter.grad();
      auto& [mean, square] = moments[name];
      if (!mean.defined()) mean = at::zeros_like(gradient), square = at::zeros_like(gradient);
      mean = 0.9 * mean + 0.1 * gradient;
      square = 0.95 * square + 0.05 * gradient.square();
      parameter.sub_(0.01 * mean / (square.sqrt() + 1e-6));
      parameter.mutable_grad().zero_();
    }
  }
}

double mean_nll(const at::Tensor& logits, const Rows& rows) {
  double total = 0;
  int64_t next = 0, count = 0;
  const auto log_probabilities = at::log_softmax(logits.to(at::kDouble), 1);
  for (const auto& row : rows) {
    for (size_t i = 1; i < row.size(); i++, count++) total -= log_probabilities[next + i - 1][row[i]].item<double>();
    next += std::ssize(row);
  }
  return total / static_cast<double>(count);
}

TEST_F(GptDecoder, PerplexityOfATrainedModelIsTheSameInInt8) {
  for (const std::string family : {"gpt2", "qwen3"}) {
    at::manual_seed(1);
    Gpt model(small_config(family));
    train_on_made_texts(model, 80);
    save_gpt(model, folder_);
    const auto texts = made_texts(40, 1);
    const auto perplexity = [&](Precision precision) {
      return std::exp(mean_nll(decoded(*open_decoder(folder_, precision, -1, 1), texts), texts));
    };
    const double fp32 = perplexity(Precision::fp32), int8 = perplexity(Precision::int8),
                 bf16 = perplexity(Precision::bf16);
    fmt::print("{}: perplexity {:.4f} in fp32, {:.4f} in int8, {:.4f} in bf16\n", family, fp32, int8, bf16);
    EXPECT_LT(fp32, 10) << "trained";
    EXPECT_NEAR(int8, fp32, 0.01 * fp32);
    EXPECT_NEAR(bf16, fp32, 0.01 * fp32);
  }
}

}  // namespace
}  // namespace sartor::gpt
