// Compares penalize with double loops written from the definitions.
#include "cuda/decoding/sampling_support.h"

namespace sartor::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

bool ends_with(const std::vector<int32_t>& tokens, const std::vector<int32_t>& ids, size_t count) {
  if (tokens.size() < count) return false;
  for (size_t i = 0; i < count; i++) {
    if (tokens[tokens.size() - count + i] != ids[i]) return false;
  }
  return true;
}

Matrix naive_penalize(const Matrix& logits, const History& history, const Penalties& rules) {
  const auto& [params, banned, end_ids] = rules;
  Matrix processed = logits;
  for (int64_t r = 0; r < logits.rows; r++) {
    const auto& tokens = history.tokens[r];
    for (int64_t id = 0; id < logits.columns; id++) {
      int64_t count = 0, generated = 0;
      for (int64_t i = 0; i < std::ssize(tokens); i++) {
        count += tokens[i] == id;
        generated += tokens[i] == id && i >= history.prompts[r];
      }
      double x = logits.row(r)[id];
      if (count > 0) x = x < 0 ? x * params.repetition : x / params.repetition;
      x -= static_cast<double>(params.frequency) * static_cast<double>(generated);
      if (generated > 0) x -= params.presence;

      const auto n = static_cast<size_t>(params.no_repeat_ngram);
      bool forbidden = false;
      for (size_t first = 0; n > 0 && first + n <= tokens.size(); first++) {
        if (tokens[first + n - 1] != id) continue;
        forbidden |= ends_with(tokens, {tokens.begin() + first, tokens.begin() + first + n}, n - 1);
      }
      for (const auto& sequence : banned)
        forbidden |= !sequence.empty() && sequence.back() == id && ends_with(tokens, sequence, sequence.size() - 1);
      const bool is_end = std::find(end_ids.begin(), end_ids.end(), id) != end_ids.end();
      forbidden |= is_end && std::ssize(tokens) - history.prompts[r] < params.min_new_tokens;
      processed.row(r)[id] = forbidden ? -infinity : static_cast<float>(x);
    }
  }
  return processed;
}

struct Shape {
  int64_t rows, columns, tokens;
};
std::string name(const Shape& shape) { return fmt::format("{}x{}_{}_tokens", shape.rows, shape.columns, shape.tokens); }

// Few distinct tokens, so that n-grams recur.
History random_history(const Shape& shape, uint64_t seed) {
  std::mt19937_64 random(seed);
  History history;
  for (int64_t r = 0; r < shape.rows; r++) {
    const int64_t length = std::max<int64_t>(shape.tokens - r % 3, 0);
    history.prompts.push_back(static_cast<int32_t>(random() % (length + 1)));
    auto& tokens = history.tokens.emplace_back();
    for (int64_t i = 0; i < length; i++)
      tokens.push_back(static_cast<int32_t>(random() % std::min<int64_t>(shape.columns, 6) * (shape.columns / 6)) %
                       static_cast<int32_t>(shape.columns));
  }
  return history;
}

class Penalize : public BackendTest<Shape> {
 protected:
  void check(const Penalties& rules) {
    const Matrix logits = normal_rows(shape().rows, shape().columns, 1);
    const History history = random_history(shape(), 2);
    const Matrix found = run_penalize(context(), logits, history, rules),
                 expected = naive_penalize(logits, history, rules);
    for (size_t i = 0; i < found.values.size(); i++) {
      // One rounding after repetition, another after the subtraction.
      if (found.values[i] == expected.values[i]) continue;  // -inf
      ASSERT_NEAR(found.values[i], expected.values[i], 1e-6 * (1 + std::abs(expected.values[i]))) << "element " << i;
    }
    auto cpu = Context::cpu(1, Isa::v3);
    EXPECT_EQ(found.values, run_penalize(cpu, logits, history, rules).values);
  }
};

INSTANTIATE_BACKENDS(Penalize, Shape{0, 5, 0}, Shape{1, 1, 0}, Shape{1, 1, 5}, Shape{3, 7, 1}, Shape{5, 257, 40},
                     Shape{33, 1009, 300}, Shape{1, 151936, 700});

TEST_P(Penalize, NothingIsACopy) { check({}); }
TEST_P(Penalize, Repetition) { check({{.repetition = 1.3f}}); }
TEST_P(Penalize, RepetitionBelowOne) { check({{.repetition = 0.7f}}); }
TEST_P(Penalize, Presence) { check({{.presence = 0.6f}}); }
TEST_P(Penalize, Frequency) { check({{.frequency = 0.1f}}); }
TEST_P(Penalize, NoRepeatUnigram) { check({{.no_repeat_ngram = 1}}); }
TEST_P(Penalize, NoRepeatBigram) { check({{.no_repeat_ngram = 2}}); }
TEST_P(Penalize, NoRepeatFourgram) { check({{.no_repeat_ngram = 4}}); }
TEST_P(Penalize, EndTokens) { check({{.min_new_tokens = 20}, {}, {0, 3, 5000}}); }

TEST_P(Penalize, Banned) {
  const History history = random_history(shape(), 2);
  std::vector<std::vector<int32_t>> banned = {{2}, {}, {-5}, {1000000}};
  for (const auto& tokens : history.tokens) {  // what ends the rows, in several lengths
    for (const int64_t length : {1, 2, 3, 40, 500}) {
      if (length > std::ssize(tokens)) continue;
      banned.emplace_back(tokens.end() - length, tokens.end()).push_back(0);
      banned.emplace_back(tokens.end() - length, tokens.end()).front() ^= 1;
    }
  }
  check({{}, banned});
}

TEST_P(Penalize, AllTogether) {
  check({{.repetition = 1.2f, .presence = -0.3f, .frequency = 0.2f, .no_repeat_ngram = 3, .min_new_tokens = 30},
         {{1, 2}, {4}},
         {1}});
}

// The last token of every second row is known to the device alone.
TEST_P(Penalize, TheDeviceKnowsTheLastToken) {
  const Penalties rules = {
      {.repetition = 1.2f, .frequency = 0.2f, .no_repeat_ngram = 2, .min_new_tokens = 30}, {{1, 2}}, {1}};
  const Matrix logits = normal_rows(shape().rows, shape().columns, 1);
  const History whole = random_history(shape(), 2);
  History known = whole;
  std::vector<int32_t> ids(shape().rows + 1, 5), slots(shape().rows, -1);
  for (int64_t r = 0; r < shape().rows; r += 2) {
    auto& tokens = known.tokens[r];
    if (std::ssize(tokens) == known.prompts[r]) continue;
    slots[r] = static_cast<int32_t>(shape().rows - r);
    ids[slots[r]] = tokens.back();
    tokens.pop_back();
  }
  const auto device_ids = upload(context(), ids), device_slots = upload(context(), slots);
  const Matrix found = run_penalize(context(), logits, known, rules, {device_ids.data(), device_slots.data()});
  EXPECT_EQ(found.values, run_penalize(context(), logits, whole, rules).values);
}

class PenaltyRules : public BackendTest<> {};
INSTANTIATE_BACKENDS(PenaltyRules, NoShape{});

// Prompt 0 1 1, generated 2 2 2 1.
const History few = {{{0, 1, 1, 2, 2, 2, 1}}, {3}};

TEST_P(PenaltyRules, RepetitionOncePerTokenAndBySign) {
  const Matrix found = run_penalize(context(), {1, 4, {3, -3, 6, 5}}, few, {{.repetition = 2}});
  EXPECT_THAT(found.values, ElementsAre(1.5, -6, 3, 5));
}

TEST_P(PenaltyRules, PresenceAndFrequencyCountGeneratedTokens) {
  const Matrix found = run_penalize(context(), {1, 4, {3, -3, 6, 5}}, few, {{.presence = 0.5, .frequency = 0.25}});
  EXPECT_THAT(found.values, ElementsAre(3, -3.75, 4.75, 5));
}

TEST_P(PenaltyRules, NgramsOfPromptAndText) {
  const Matrix found = run_penalize(context(), {1, 4, {0, 0, 0, 0}}, few, {{.no_repeat_ngram = 2}});
  EXPECT_THAT(found.values, ElementsAre(0, -infinity, -infinity, 0));
}

TEST_P(PenaltyRules, APhraseMayBeginTheText) {
  const Matrix found = run_penalize(context(), {1, 4, {0, 0, 0, 0}}, {{{1, 2}}, {0}}, {{}, {{1, 2, 3}, {9, 1, 2, 0}}});
  EXPECT_THAT(found.values, ElementsAre(0, 0, 0, -infinity));
}

TEST_P(PenaltyRules, EndTokensReturn) {
  for (const int32_t least : {4, 5}) {
    const Matrix found = run_penalize(context(), {1, 2, {0, 0}}, few, {{.min_new_tokens = least}, {}, {1}});
    EXPECT_EQ(found.values[1], least == 5 ? -infinity : 0);
  }
}

TEST_P(PenaltyRules, ExtremeLogitsAndForeignIds) {
  const History history = {{{0, 1, 2, 3, -1, 99, 0}}, {2}};
  const Matrix found = run_penalize(context(), {1, 5, {infinity, -infinity, nan_logit, -3e38f, 3e38f}}, history,
                                    {{.repetition = 2, .presence = 1, .frequency = 1, .no_repeat_ngram = 3}});
  EXPECT_EQ(found.values[0], infinity);
  EXPECT_EQ(found.values[1], -infinity);
  EXPECT_TRUE(std::isnan(found.values[2]));
  EXPECT_EQ(found.values[3], -infinity);
  EXPECT_EQ(found.values[4], 3e38f);
}

TEST(PenaltyTask, WrongArguments) {
  auto context = Context::cpu(1);
  const auto with = [&](const PenaltyParams& params) {
    return [&context, params] { run_penalize(context, {1, 4, {0, 0, 0, 0}}, few, {params}); };
  };
  const auto says = [](const char* text) { return ThrowsMessage<std::invalid_argument>(HasSubstr(text)); };
  EXPECT_THAT(with({.repetition = 0}), says("repetition is 0, expected a number above 0"));
  EXPECT_THAT(with({.repetition = infinity}), says("repetition is inf"));
  EXPECT_THAT(with({.presence = nan_logit}), says("presence is nan"));
  EXPECT_THAT(with({.frequency = infinity}), says("frequency inf"));
  EXPECT_THAT(with({.no_repeat_ngram = -1}), says("no_repeat_ngram is -1"));
  EXPECT_THAT(with({.min_new_tokens = -1}), says("min_new_tokens is -1"));
  float logits[4] = {}, processed[4];
  EXPECT_THAT(([&] {
                penalize(context, {.logits = {logits, 1, 4}, .processed = {processed, 1, 3}});
              }),
              says("processed has 1 x 3 elements, logits 1 x 4"));
  EXPECT_THAT(([&] {
                penalize(context, {.logits = {logits, 1, 4}, .processed = {processed, 1, 4}});
              }),
              says("no history"));
  int32_t tokens[1] = {}, lengths[1] = {}, prompts[1] = {}, slots[1] = {};
  EXPECT_THAT(([&] {
                penalize(context, {.logits = {logits, 1, 4},
                                   .history = {tokens, 1, lengths, prompts},
                                   .last = {nullptr, slots},
                                   .processed = {processed, 1, 4}});
              }),
              says("no array of last tokens"));
}

TEST(PenaltyTask, WhatChangesLogits) {
  EXPECT_FALSE(changes_logits({}, {}, 1));
  EXPECT_FALSE(changes_logits({.min_new_tokens = 1}, {}, 0));
  EXPECT_TRUE(changes_logits({.min_new_tokens = 1}, {}, 1));
  EXPECT_TRUE(changes_logits({.repetition = 1.1f}, {}, 0));
  EXPECT_TRUE(changes_logits({.presence = 1}, {}, 0));
  EXPECT_TRUE(changes_logits({.frequency = -1}, {}, 0));
  EXPECT_TRUE(changes_logits({.no_repeat_ngram = 2}, {}, 0));
  EXPECT_TRUE(changes_logits({}, {.count = 1}, 0));
}

}  // namespace
}  // namespace sartor::cuda
