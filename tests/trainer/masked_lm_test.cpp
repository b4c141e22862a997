// Masked language modeling against a reference with one row per batch and a softmax in double.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "models/bert/folder.h"
#include "support/folder_test.h"
#include "support/learner_rows.h"
#include "support/tokenize.h"
#include "tasks/texts/masked_lm_learner.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::labels_of;
using testing::loss_of;
using ::testing::ThrowsMessage;

const std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n好\n坏\n很\n书\ngood\nbad\n##s\n😀\n";

class MaskedLm : public testing::WorkingFolderTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory("tokenizer");
    const auto spec = text::parse_bert_tokenizer(vocabulary, "vocab.txt", "", "");
    text::write_tokenizer("tokenizer", spec, 16);
    tokenize(spec, "texts.h5");
  }

  // 30 rows of unequal length, for training and validation, each with a second text.
  void tokenize(const text::TokenizerSpec& spec, const std::string& path) const {
    const std::vector<std::string> words = {"好", "坏", "很", "书", "good", "bads", "😀", "龘"};
    std::string rows = "text,label\n";
    for (uint64_t row = 0; row < 30; row++) {
      for (uint64_t i = 0; i < 1 + row % 9; i++) rows += words[random_bits(row, i) % words.size()] + " ";
      rows += ",😀\n";
    }
    write("a.csv", rows);
    const text::TextConfig config = {
        .sources = {{.table = {.path = "a.csv"}}}, .pair = "{label}", .label = {.kind = text::LabelKind::none}};
    testing::tokenize(path, spec, config, /*validation=*/0.4);
  }

  PretrainConfig config() const {
    PretrainConfig config;
    config.data.path = "texts.h5";
    config.model = {.tokenizer = "tokenizer",
                    .shape = BertShapeConfig{.hidden_size = 12,
                                             .num_hidden_layers = 1,
                                             .num_attention_heads = 2,
                                             .intermediate_size = 20,
                                             .max_position_embeddings = 16},
                    .hidden_dropout_prob = 0,
                    .attention_probs_dropout_prob = 0};
    config.mlm_probability = 0.3;
    config.mlm_span = 2;
    return config;
  }

  // Sum of the losses of a row's masked tokens, their number, and how many the model predicts correctly.
  struct Judged {
    double loss = 0;
    int64_t tokens = 0, right = 0;
  };
  static Judged judge(const bert::Bert& model, const TokenMasking& masking, const datasets::StoredTexts& part,
                      int64_t row, uint64_t seed) {
    const auto before = part.ids(row);
    auto ids = before;
    std::vector<int32_t> types(ids.size());
    for (size_t i = part.second()[row]; i < types.size(); i++) types[i] = 1;
    const auto places = masking.mask(ids, seed);
    const std::vector<std::vector<int32_t>> rows = {ids}, all_types = {types};
    const auto logits = model.predict_tokens(transformer::pack(input_spec(model.config()), rows, all_types),
                                             at::arange(std::ssize(ids), at::kLong));
    Judged judged;
    for (const auto place : places) {
      const auto mine = logits[place].to(at::kDouble);
      judged.loss += (mine.exp().sum().log() - mine[before[place]]).item<double>();
      judged.right += mine.argmax().item<int64_t>() == before[place];
      judged.tokens++;
    }
    return judged;
  }

  static double value(const std::vector<Metric>& metrics, const std::string& name) {
    const auto found = std::ranges::find(metrics, name, &Metric::name);
    return found == metrics.end() ? NAN : found->value;
  }

  static void refused(const PretrainConfig& config, const std::string& message) {
    const auto data = datasets::open_texts(config.data.path);
    ProcessGroup alone({}, /*gpu=*/false, std::chrono::seconds(1));
    EXPECT_THAT([&] { MaskedLmLearner(config, data, alone, Transfer(at::kCPU)); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  }

  ProcessGroup alone_{{}, /*gpu=*/false, std::chrono::seconds(1)};
};

TEST_F(MaskedLm, JudgesAsOneRowAtATimeDoes) {
  auto chosen = config();
  chosen.per_device_eval_tokens = 20;  // several batches
  const auto data = datasets::open_texts("texts.h5");
  ASSERT_EQ(data.validation.rows(), 12);
  MaskedLmLearner learner(chosen, data, alone_, Transfer(at::kCPU));
  std::filesystem::create_directory("model");
  learner.save("model");
  const auto model = bert::load_bert("model", bert::Head::masked_lm).model;
  const TokenMasking masking(text::read_tokenizer("model"), 0.3, 2);
  Judged all;
  for (int64_t row = 0; row < data.validation.rows(); row++) {
    const auto judged = judge(model, masking, data.validation, row, random_bits(0, row));
    all.loss += judged.loss;
    all.tokens += judged.tokens;
    all.right += judged.right;
  }
  ASSERT_EQ(all.tokens, 20);
  const double mean = all.loss / static_cast<double>(all.tokens);
  const auto found = learner.evaluate();
  EXPECT_NEAR(value(found, "loss"), mean, 1e-5);
  EXPECT_NEAR(value(found, "perplexity"), std::exp(mean), 1e-4);
  EXPECT_EQ(value(found, "accuracy"), static_cast<double>(all.right) / static_cast<double>(all.tokens));
  labels_of(learner, std::vector<int64_t>{0}, 5);
  EXPECT_EQ(value(learner.evaluate(), "loss"), value(found, "loss"));  // the masks do not change
}

TEST_F(MaskedLm, LossIsASumOverRowsWhateverTheyShareABatchWith) {
  const auto data = datasets::open_texts("texts.h5");
  const auto chosen = config();
  MaskedLmLearner learner(chosen, data, alone_, Transfer(at::kCPU));
  std::filesystem::create_directory("model");
  learner.save("model");
  const auto model = bert::load_bert("model", bert::Head::masked_lm).model;
  const TokenMasking masking(text::read_tokenizer("tokenizer"), 0.3, 2);
  const std::vector<int64_t> rows = {11, 3, 7, 0, 16};
  std::vector<double> by_step;
  for (const int64_t step : {0, 1, 0}) {
    Judged all;
    for (const auto row : rows) {
      const auto judged = judge(model, masking, data.train, row, random_bits(random_bits(42, step), row));
      all.loss += judged.loss;
      all.tokens += judged.tokens;
      EXPECT_NEAR(loss_of(learner, std::span(&row, 1), step).item<double>(), judged.loss, 1e-4);
    }
    EXPECT_EQ(labels_of(learner, rows, step), all.tokens);
    by_step.push_back(loss_of(learner, rows, step).item<double>());
    EXPECT_NEAR(by_step.back(), all.loss, 1e-4);
  }
  EXPECT_NE(by_step[0], by_step[1]);
  EXPECT_EQ(by_step[0], by_step[2]);
}

TEST_F(MaskedLm, RowsWithoutWordsCostNothing) {
  write("a.csv", "text\n龘\n");
  const auto spec = text::read_tokenizer("tokenizer");
  const text::TextConfig texts = {.sources = {{.table = {.path = "a.csv"}}}, .label = {.kind = text::LabelKind::none}};
  testing::tokenize("unknown.h5", spec, texts);
  const auto data = datasets::open_texts("unknown.h5");
  const auto chosen = config();
  MaskedLmLearner learner(chosen, data, alone_, Transfer(at::kCPU));
  const std::vector<int64_t> rows = {0};
  learner.parameters();
  const auto loss = loss_of(learner, rows);
  EXPECT_EQ(loss.item<double>(), 0);
  loss.backward();
  EXPECT_EQ(labels_of(learner, rows), 0);
  EXPECT_THAT(learner.evaluate(), IsEmpty());
}

// Masks a row of 200 words 400 times and measures the lengths of spans and how often each position is masked.
TEST_F(MaskedLm, SpansHaveTheirMeanLengthAndStayBetweenSpecialTokens) {
  const auto spec = text::read_tokenizer("tokenizer");
  const int32_t cls = 2, sep = 3, first = 5;
  std::vector<int32_t> row(202, first);
  row.front() = cls;
  row.back() = row[101] = sep;
  const auto mean_run = [&](const TokenMasking& masking) {
    EXPECT_EQ(masking.predicted(row), 4);
    double tokens = 0, runs = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
      auto hidden = row;
      const auto places = masking.mask(hidden, seed);
      EXPECT_EQ(places.size(), 4);
      for (size_t i = 0; i < places.size(); i++) {
        EXPECT_EQ(row[places[i]], first);
        runs += i == 0 || places[i] != places[i - 1] + 1;
        tokens++;
      }
      for (size_t i = 0; i < row.size(); i++) {
        EXPECT_TRUE(hidden[i] == row[i] || std::ranges::binary_search(places, static_cast<int64_t>(i)));
      }
    }
    return tokens / runs;
  };
  EXPECT_NEAR(mean_run(TokenMasking(spec, 0.02)), 1, 0.05);
  // Four tokens in spans that end after each token with probability 1/2: 1, 2, 3, 4 spans with probability 1/8, 3/8,
  // 3/8, 1/8.
  EXPECT_NEAR(mean_run(TokenMasking(spec, 0.02, 2)), 4 / 2.5, 0.1);
  EXPECT_GT(mean_run(TokenMasking(spec, 0.02, 10)), 3);
  std::vector<int32_t> short_row = {cls, first, first, sep};
  EXPECT_EQ(TokenMasking(spec, 1, 10).mask(short_row, 0), std::vector<int64_t>({1, 2}));
}

TEST_F(MaskedLm, StartsFromASeedOrAFolder) {
  const auto data = datasets::open_texts("texts.h5");
  const auto chosen = config();
  auto another = chosen;
  another.training.seed = 1;
  MaskedLmLearner first(chosen, data, alone_, Transfer(at::kCPU)), same(chosen, data, alone_, Transfer(at::kCPU)),
      other(another, data, alone_, Transfer(at::kCPU));
  const double loss = value(first.evaluate(), "loss");
  EXPECT_EQ(value(same.evaluate(), "loss"), loss);
  EXPECT_NE(value(other.evaluate(), "loss"), loss);
  std::filesystem::create_directory("model");
  first.save("model");
  auto going_on = another;
  going_on.model = {.path = "model"};
  MaskedLmLearner continued(going_on, data, alone_, Transfer(at::kCPU));
  EXPECT_EQ(value(continued.evaluate(), "loss"), loss);
  other.load("model");
  EXPECT_EQ(value(other.evaluate(), "loss"), loss);
}

TEST_F(MaskedLm, RefusesWhatDoesNotFit) {
  auto short_model = config();
  short_model.model.shape->max_position_embeddings = 15;
  refused(short_model, "texts.h5 has rows of up to 16 tokens, the model takes 15");

  std::filesystem::create_directory("other");
  text::write_tokenizer("other", text::parse_bert_tokenizer(vocabulary + "差\n", "vocab.txt", "", ""), 16);
  auto other = config();
  other.model.tokenizer = "other";
  refused(other, "texts.h5 was made with a different tokenizer than the one in other");

  auto spec = text::read_tokenizer("tokenizer");
  std::erase_if(spec.added_tokens, [](const auto& token) { return token.content == "[MASK]"; });
  std::filesystem::create_directory("plain");
  text::write_tokenizer("plain", spec, 16);
  tokenize(spec, "plain.h5");
  auto plain = config();
  plain.model.tokenizer = "plain";
  plain.data.path = "plain.h5";
  refused(plain, "no special token [MASK]");
}

}  // namespace
}  // namespace sartor
