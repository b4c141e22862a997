// Beam search against the loop of transformers 5.23, GenerationMixin._beam_search, for one prompt.
#include "decoding/penalties.h"
#include "inference/generation/decoding/writer_support.h"

namespace sartor::inference {
namespace {

constexpr float hopeless = -1e9f;

struct Scored {
  Ids ids;  // with the prompt
  float score;
  bool finished = false;
};

// The best `count`, earlier ones first among equals.
std::vector<Scored> best(std::vector<Scored> all, size_t count, const std::function<float(const Scored&)>& score) {
  std::ranges::stable_sort(all, std::greater(), score);
  all.resize(count);
  return all;
}

class NaiveBeams {
 public:
  NaiveBeams(FakeModel model, DecodingConfig config, Ids ends)
      : model_(std::move(model)), config_(std::move(config)), ends_(std::move(ends)) {}

  // The texts that transformers would return, with sequences_scores.
  std::vector<Scored> search(const Ids& prompt) {
    const auto beams = static_cast<size_t>(config_.num_beams);
    std::vector<Scored> running(beams, {prompt, hopeless}), finished(beams, {prompt, hopeless});
    running[0].score = 0;
    for (int64_t length = 1;; length++) {
      std::vector<Scored> all;
      for (const auto& beam : running) extend(beam, prompt.size(), all);
      auto top = best(all, std::max<size_t>(2, 1 + ends_.size()) * beams, &Scored::score);
      for (auto& each : top) {
        each.finished = std::ranges::count(ends_, each.ids.back()) > 0 || length == config_.max_new_tokens;
      }
      running = best(top, beams, [](const Scored& s) { return s.finished ? s.score + hopeless : s.score; });
      auto merged = finished;
      for (size_t i = 0; i < top.size(); i++) {
        auto each = top[i];
        each.score /= static_cast<float>(std::pow(length, config_.length_penalty));
        each.finished = each.finished && i < beams;
        if (!each.finished) each.score += hopeless;
        merged.push_back(each);
      }
      finished = best(merged, beams, &Scored::score);
      if (length == config_.max_new_tokens || is_over(running, finished, length)) break;
    }
    finished.resize(config_.num_return_sequences);
    return finished;
  }

 private:
  void extend(const Scored& beam, size_t prompt, std::vector<Scored>& all) {
    auto logits = model_.logits(beam.ids);
    double sum = 0;
    const float largest = std::ranges::max(logits);
    for (const float x : logits) sum += std::exp(x - largest);
    for (float& x : logits) x = x - largest - static_cast<float>(std::log(sum));
    const auto size = std::ssize(logits);
    std::vector<float> processed(size);
    Ids ids = beam.ids;
    int32_t length = static_cast<int32_t>(ids.size()), first = static_cast<int32_t>(prompt);
    auto context = cuda::Context::cpu(1);
    cuda::penalize(context, {.logits = {logits.data(), 1, size},
                             .history = {ids.data(), length, &length, &first},
                             .params = {static_cast<float>(config_.repetition_penalty), 0, 0,
                                        static_cast<int32_t>(config_.no_repeat_ngram_size),
                                        static_cast<int32_t>(config_.min_new_tokens)},
                             .end_ids = ends_.data(),
                             .ends = std::ssize(ends_),
                             .processed = {processed.data(), 1, size}});
    for (int32_t token = 0; token < size; token++) {
      all.push_back({beam.ids, beam.score + processed[token]});
      all.back().ids.push_back(token);
    }
  }

  bool is_over(const std::vector<Scored>& running, const std::vector<Scored>& finished, int64_t length) const {
    const bool never = config_.early_stopping == EarlyStopping::never && config_.length_penalty > 0;
    const auto best_length = static_cast<double>(never ? config_.max_new_tokens : length);
    const float possible = running[0].score / static_cast<float>(std::pow(best_length, config_.length_penalty));
    const float worst = std::ranges::min(finished, {}, &Scored::score).score;
    const bool can_improve =
        std::ranges::any_of(finished, [&](const Scored& s) { return possible > (s.finished ? worst : hopeless); });
    const bool is_full = std::ranges::all_of(finished, &Scored::finished);
    return !can_improve || (is_full && config_.early_stopping == EarlyStopping::yes);
  }

  FakeModel model_;
  DecodingConfig config_;
  Ids ends_;
};

class BeamSearchTest : public ::testing::Test {
 protected:
  // Compares texts for several prompts, and returns the number of those that end with an end token.
  int64_t expect_equal(const DecodingConfig& config, const Ids& ends) {
    const FakeModel model{23};
    FakeDecoder decoder(model);
    TextWriter writer(decoder, tokenizer_, config, ends);
    const auto prompts = random_prompts(6, 23, static_cast<int32_t>(config.num_return_sequences), 20);
    const auto texts = write_all(writer, prompts);
    int64_t ended = 0;
    for (const auto& prompt : prompts) {
      const auto expected = NaiveBeams(model, config, ends).search(prompt.ids);
      for (int32_t i = 0; i < prompt.variants; i++) {
        const auto& written = texts.at({prompt.row, i});
        EXPECT_EQ(written.ids, Ids(expected[i].ids.begin() + std::ssize(prompt.ids), expected[i].ids.end()));
        EXPECT_EQ(written.score, expected[i].score);
        ended += written.end == EndReason::end_token;
      }
      EXPECT_EQ(texts.contains({prompt.row, prompt.variants}), false);
    }
    return ended;
  }

  const text::Tokenizer tokenizer_ = byte_tokenizer();
};

TEST_F(BeamSearchTest, EqualsTransformers) {
  int64_t ended = 0;
  for (const int64_t beams : {2, 3, 5}) {
    for (const double penalty : {-1.0, 0.0, 0.7, 1.0, 2.5}) {
      for (const auto early : {EarlyStopping::no, EarlyStopping::yes, EarlyStopping::never}) {
        for (const Ids& ends : {Ids{}, Ids{3}, Ids{3, 11}}) {
          SCOPED_TRACE(fmt::format("{} beams, length_penalty {}, early_stopping {}, {} end tokens", beams, penalty,
                                   name_of(early), ends.size()));
          DecodingConfig config;
          config.max_new_tokens = 10;
          config.num_beams = config.num_return_sequences = beams;
          config.length_penalty = penalty;
          config.early_stopping = early;
          ended += expect_equal(config, ends);
        }
      }
    }
  }
  EXPECT_GT(ended, 300);
}

TEST_F(BeamSearchTest, EqualsTransformersWithProcessors) {
  DecodingConfig config;
  config.max_new_tokens = 12;
  config.num_beams = 4;
  config.num_return_sequences = 2;
  config.repetition_penalty = 1.4;
  expect_equal(config, {3});
  config.no_repeat_ngram_size = 2;
  expect_equal(config, {3});
  config.min_new_tokens = 6;
  expect_equal(config, {3, 11});
}

TEST_F(BeamSearchTest, AddsUpTheModelsLogProbabilities) {
  const FakeModel model{23};
  DecodingConfig config;
  config.max_new_tokens = 8;
  config.num_beams = 3;
  config.repetition_penalty = 1.5;
  FakeDecoder decoder(model);
  TextWriter writer(decoder, tokenizer_, config, {3});
  const Prompt prompt{.row = 0, .ids = {1, 2}};
  const auto written = write_all(writer, {prompt}).at({0, 0});
  double expected = 0;
  Ids ids = prompt.ids;
  for (const int32_t id : written.ids) {
    const auto logits = model.logits(ids);
    double sum = 0;
    for (const float x : logits) sum += std::exp(x);
    expected += logits[id] - std::log(sum);
    ids.push_back(id);
  }
  EXPECT_NEAR(written.log_probability, expected, 1e-5);
  EXPECT_LE(written.score, written.log_probability / static_cast<double>(written.ids.size()) + 1e-5);
  EXPECT_EQ(written.sampled_log_probability, 0);
}

TEST_F(BeamSearchTest, StopStringsEndBeams) {
  FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()});
  DecodingConfig config;
  config.max_new_tokens = 12;
  config.num_beams = config.num_return_sequences = 4;
  config.stop_strings = {"a", "e", "o"};
  TextWriter writer(decoder, tokenizer_, config, {0});
  int64_t stopped = 0;
  for (const auto& [key, written] : write_all(writer, random_prompts(12, 200, 4))) {
    const std::string all = tokenizer_.decode(written.ids);
    const size_t stop = all.find_first_of("aeo");
    EXPECT_EQ(written.end == EndReason::stop_string, stop != std::string::npos);
    EXPECT_EQ(written.text, all.substr(0, stop));
    if (stop == std::string::npos) continue;
    stopped++;
    const auto before = std::span(written.ids).first(written.ids.size() - 1);
    EXPECT_EQ(tokenizer_.decode(before).find_first_of("aeo"), std::string::npos);
  }
  EXPECT_GT(stopped, 0);
}

TEST_F(BeamSearchTest, SharesBlocksOfBeams) {
  FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()});
  DecodingConfig config;
  config.max_new_tokens = 40;
  config.num_beams = 4;
  TextWriter writer(decoder, tokenizer_, config, {});
  write_all(writer, {{.row = 0, .ids = Ids(160, 60)}});
  EXPECT_EQ(writer.counts().prefilled_tokens, 160);
  EXPECT_LE(writer.counts().peak_blocks, 10 + 4 * 3);
}

}  // namespace
}  // namespace sartor::inference
