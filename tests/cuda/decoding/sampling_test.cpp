// Compares sample with double loops, and 100,000 samples with their distribution.
#include "cuda/decoding/sampling_support.h"
#include "decoding/rules.h"

namespace sartor::cuda {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(SamplingRules, PhiloxEqualsThePublishedVectors) {  // kat_vectors of Random123
  EXPECT_EQ(philox(0, 0, 0, 0), 0xe169c58d6627e8d5);
  EXPECT_EQ(philox(~0ull, ~0ull, ~0u, ~0u), 0x41c83b0e408f276d);
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x13198a2e, 0x03707344), 0x94fdccebd16cfe09);
}

TEST(SamplingRules, WeightsAreExponentials) {
  EXPECT_EQ(weight(0), largest_weight);
  EXPECT_EQ(weight(-27.8f), 0);
  for (const float x : {-40.0f, -41.0f, -3e38f, -infinity, nan_logit}) EXPECT_EQ(weight(x), 0) << x;
  for (float x = 0; x > -30; x -= 0.00037f) {
    const double exact = 0x1p40 * std::exp(static_cast<double>(x));
    ASSERT_NEAR(static_cast<double>(weight(x)), exact, 1 + 2e-7 * exact) << x;
  }
}

TEST(SamplingRules, PartOfATotal) {
  EXPECT_EQ(part_of(0, 12345), 0);
  EXPECT_EQ(part_of(1, 12345), 12345);
  EXPECT_EQ(part_of(0.5f, 5), 3);
  EXPECT_EQ(part_of(1, (uint64_t{1} << 62) - 1), (uint64_t{1} << 62) - 1);  // never more than the total
}

// ---- distributions ----

struct Settings {
  std::string name;
  SamplingParams params;
};
std::string name(const Settings& settings) { return settings.name; }

const std::vector<float> some_logits() {
  auto logits = normals(40, 3);
  for (float& logit : logits) logit *= 2;
  logits[7] = logits[11] = logits[30];
  return logits;
}

// Statistic of Pearson's chi-square test; tokens expected fewer than 10 times are one bin.
struct ChiSquare {
  double statistic = 0;
  int bins = 0;

  void add(double found, double expected) {
    statistic += (found - expected) * (found - expected) / expected;
    bins++;
  }
  // The value that a right distribution exceeds once in a million (Wilson and Hilferty 1931).
  double limit() const {
    const double degrees = std::max(bins - 1, 1), part = 2 / (9 * degrees);
    return degrees * std::pow(1 - part + 4.753 * std::sqrt(part), 3);
  }
};

ChiSquare chi_square(const std::vector<int32_t>& ids, const std::vector<double>& probabilities) {
  std::vector<double> counts(probabilities.size());
  for (const int32_t id : ids) counts[id]++;
  ChiSquare result;
  double rare = 0, rare_expected = 0;
  for (size_t i = 0; i < counts.size(); i++) {
    const double expected = probabilities[i] * static_cast<double>(ids.size());
    if (expected >= 10) {
      result.add(counts[i], expected);
    } else {
      rare += counts[i];
      rare_expected += expected;
    }
  }
  if (rare_expected > 0) result.add(rare, std::max(rare_expected, 1.0));
  return result;
}

class SampleDistribution : public BackendTest<Settings> {};
INSTANTIATE_BACKENDS(SampleDistribution, Settings{"plain", {.greedy = false}},
                     Settings{"cold", {.greedy = false, .temperature = 0.3f}},
                     Settings{"hot", {.greedy = false, .temperature = 4}},
                     Settings{"top_k", {.greedy = false, .top_k = 5}},
                     Settings{"top_p", {.greedy = false, .top_p = 0.8f}},
                     Settings{"min_p", {.greedy = false, .min_p = 0.1f}},
                     Settings{"top_k_and_p", {.greedy = false, .temperature = 2, .top_k = 20, .top_p = 0.7f}},
                     Settings{"all", {.greedy = false, .temperature = 3, .top_k = 30, .top_p = 0.9f, .min_p = 0.4f}},
                     Settings{"other_seed", {.greedy = false, .temperature = 2, .seed = 0xfedcba9876543210}});

TEST_P(SampleDistribution, HundredThousandSamples) {
  const auto logits = some_logits();
  const auto probabilities = naive_distribution(logits, shape().params);
  // Simulators of a GPU are slow; elsewhere the ids are compared with the CPU's.
  const int64_t count = backend() == TestBackend::gpu ? 100 : 100000;
  const auto found = run_sample(context(), repeated(logits, count), draws(count), shape().params);
  for (int64_t i = 0; i < count; i++) {
    const double expected = probabilities[found.ids[i]];
    ASSERT_GT(expected, 0) << "id " << found.ids[i];
    ASSERT_NEAR(found.sampled_log_probabilities[i], std::log(expected), 2e-6);
    const double model = naive_softmax({logits.begin(), logits.end()})[found.ids[i]];
    ASSERT_NEAR(found.log_probabilities[i], std::log(model), 2e-6);
  }
  const ChiSquare result = chi_square(found.ids, probabilities);
  EXPECT_LT(result.statistic, result.limit()) << result.bins << " bins";
  RecordProperty("chi_square", fmt::format("{:.1f} of {:.1f}", result.statistic, result.limit()));
}

TEST(SampleDistributions, TheTestFindsAWrongTemperature) {
  auto context = Context::cpu(2);
  const auto logits = some_logits();
  const auto found = run_sample(context, repeated(logits, 100000), draws(100000), {.greedy = false});
  const ChiSquare wrong = chi_square(found.ids, naive_distribution(logits, {.temperature = 1.03f}));
  EXPECT_GT(wrong.statistic, wrong.limit());
}

TEST(SampleDistributions, RandomNumbersOfRowsVariantsAndPositionsAreIndependent) {
  auto context = Context::cpu(2);
  const std::vector<float> logits(16);
  for (const int fixed : {0, 1, 2}) {
    std::vector<Draw> names;
    for (int32_t i = 0; i < 40000; i++) {
      names.push_back({.row = fixed == 0 ? 5 : i / 200,
                       .variant = fixed == 1   ? 7
                                  : fixed == 0 ? i / 200
                                               : i % 200,
                       .position = fixed == 2 ? 9 : i % 200});
    }
    const auto found = run_sample(context, repeated(logits, 40000), names, {.greedy = false});
    std::vector<int32_t> pairs;  // of neighbors: 256 equally probable values
    for (size_t i = 0; i + 1 < found.ids.size(); i += 2) pairs.push_back(found.ids[i] * 16 + found.ids[i + 1]);
    const ChiSquare result = chi_square(pairs, std::vector<double>(256, 1.0 / 256));
    EXPECT_LT(result.statistic, result.limit()) << fixed;
  }
}

// ---- single rules ----

class Sample : public BackendTest<> {
 protected:
  // The distinct ids of many samples, ascending. A GPU, which may be simulated, draws only the first few of them.
  std::vector<int32_t> support(const std::vector<float>& logits, const SamplingParams& params) {
    constexpr int64_t all = 2000, few = 20;
    auto cpu = Context::cpu(2);
    const bool on_gpu = backend() == TestBackend::gpu;
    const auto found = run_sample(on_gpu ? cpu : context(), repeated(logits, all), draws(all), params);
    if (on_gpu) {
      const auto first = run_sample(context(), repeated(logits, few), draws(few), params);
      EXPECT_THAT(first.ids, ElementsAreArray(found.ids.begin(), found.ids.begin() + few));
    }
    const std::set<int32_t> distinct(found.ids.begin(), found.ids.end());
    return {distinct.begin(), distinct.end()};
  }
};
INSTANTIATE_BACKENDS(Sample, NoShape{});

std::vector<float> logs(std::vector<float> probabilities) {
  for (float& p : probabilities) p = std::log(p);
  return probabilities;
}

TEST_P(Sample, TopKComesBeforeTopP) {
  const auto logits = logs({0.1f, 0.2f, 0.3f, 0.4f});
  EXPECT_THAT(support(logits, {.greedy = false, .top_p = 0.5f}), ElementsAre(2, 3));
  EXPECT_THAT(support(logits, {.greedy = false, .top_k = 2, .top_p = 0.5f}), ElementsAre(3));
}

TEST_P(Sample, MinPComesAfterTopPAndTemperature) {
  const auto logits = logs({0.1f, 0.2f, 0.3f, 0.4f});
  EXPECT_THAT(support(logits, {.greedy = false, .min_p = 0.6f}), ElementsAre(2, 3));
  EXPECT_THAT(support(logits, {.greedy = false, .top_p = 0.35f, .min_p = 0.6f}), ElementsAre(3));
  EXPECT_THAT(support(logits, {.greedy = false, .temperature = 2, .min_p = 0.6f}), ElementsAre(1, 2, 3));
  EXPECT_THAT(support(logits, {.greedy = false, .min_p = 1}), ElementsAre(3));
}

TEST_P(Sample, TiesWithTheKthAreKept) {
  EXPECT_THAT(support({1, 2, 0, 1, 1, -1}, {.greedy = false, .top_k = 2}), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(support({1, 2, 0, 1, 1, -1}, {.greedy = false, .top_k = 100}), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(support({-0.0f, 0, -1}, {.greedy = false, .top_k = 1}), ElementsAre(0, 1));
}

TEST_P(Sample, TiesAtTopPGoToTheLowerId) {
  EXPECT_THAT(support({0, 0, 0, 0}, {.greedy = false, .top_p = 0.5f}), ElementsAre(0, 1));
  EXPECT_THAT(support({0, 0, 0, 0}, {.greedy = false, .top_p = 0.51f}), ElementsAre(0, 1, 2));
  EXPECT_THAT(support({0, 1, 0, 0}, {.greedy = false, .top_p = 0.48f}), ElementsAre(0, 1));
  EXPECT_THAT(support({-1, 0, -0.0f, 0}, {.greedy = false, .top_p = 0.5f}), ElementsAre(1, 2));
  EXPECT_THAT(support({0, 0, 1, 1}, {.greedy = false, .top_p = 0}), ElementsAre(2));
}

TEST_P(Sample, GreedyTakesTheLowestOfTheMostProbable) {
  const Matrix logits(
      4, 5, {1, 3, 2, 3, 0, -infinity, -2, -2, nan_logit, -5, 0, 0, infinity, 0, infinity, -0.0f, 0, 0, 0, 0});
  const auto found = run_sample(context(), logits, draws(4), {});
  EXPECT_THAT(found.ids, ElementsAre(1, 1, 2, 0));
  EXPECT_THAT(found.sampled_log_probabilities, Each(0));
  EXPECT_NEAR(found.log_probabilities[2], std::log(0.5), 1e-6);
  EXPECT_NEAR(found.log_probabilities[3], std::log(0.2), 1e-6);
}

TEST_P(Sample, ExtremeLogits) {
  const SamplingParams params{.greedy = false, .top_k = 3, .top_p = 0.9f, .min_p = 0.05f};
  for (const auto& some : {SamplingParams{.greedy = false}, SamplingParams{.greedy = false, .top_k = 5}, params}) {
    EXPECT_THAT(support({-infinity, 0, -infinity, -infinity, -infinity}, some), ElementsAre(1));
    EXPECT_THAT(support({-infinity, -infinity, -infinity}, some), ElementsAre(0));
    EXPECT_THAT(support({nan_logit, nan_logit}, some), ElementsAre(0));
    EXPECT_THAT(support({nan_logit, -4, nan_logit, -4, -infinity}, some), ElementsAre(1, 3));
    EXPECT_THAT(support({3e38f, infinity, nan_logit, infinity, -infinity}, some), ElementsAre(1, 3));
    EXPECT_THAT(support({-3e38f, 3e38f, 3e38f, 0}, some), ElementsAre(1, 2));
    EXPECT_THAT(support({-3e38f, -3e38f, -infinity}, some), ElementsAre(0, 1));
    EXPECT_THAT(support({1e8f, 1e8f - 64, 1e8f}, some), ElementsAre(0, 2));
  }
  EXPECT_THAT(support({7, 7, 7}, {.greedy = false}), ElementsAre(0, 1, 2));
}

TEST_P(Sample, ExtremeTemperatures) {
  EXPECT_THAT(support({1, 1.001f, 0}, {.greedy = false, .temperature = 1e-6f}), ElementsAre(1));
  EXPECT_THAT(support({-30, 5, 60}, {.greedy = false, .temperature = 1e6f}), ElementsAre(0, 1, 2));
}

TEST_P(Sample, LogProbabilitiesOfBrokenRowsAreNaN) {
  const Matrix logits(3, 3, {1, 2, 3, 1, 2, 3, 1, 2, 3}),
      model(3, 3, {0, nan_logit, 0, -infinity, -infinity, -infinity, 0, 0, -infinity});
  const auto found = run_sample(context(), logits, draws(3), {}, &model);
  EXPECT_TRUE(std::isnan(found.log_probabilities[0]));
  EXPECT_TRUE(std::isnan(found.log_probabilities[1]));
  EXPECT_EQ(found.log_probabilities[2], -infinity);
}

TEST_P(Sample, LogProbabilitiesAreOfTheModel) {
  const Matrix logits = normal_rows(20, 300, 8), model = normal_rows(20, 300, 9);
  const SamplingParams params{.greedy = false, .temperature = 0.5f, .top_k = 40};
  const auto found = run_sample(context(), logits, draws(20), params, &model);
  for (int64_t r = 0; r < 20; r++) {
    const auto own = naive_softmax({model.row(r), model.row(r) + 300});
    const auto drawn_from = naive_distribution({logits.row(r), logits.row(r) + 300}, params);
    EXPECT_NEAR(found.log_probabilities[r], std::log(own[found.ids[r]]), 2e-6);
    EXPECT_NEAR(found.sampled_log_probabilities[r], std::log(drawn_from[found.ids[r]]), 2e-6);
  }
}

TEST_P(Sample, TokensAreAppended) {
  const History history = {{{5, 6}, {}, {1, 2, 3, 4, 5, 6}}, {1, 0, 2}};
  DeviceHistory tokens(context(), history);
  for (int step = 0; step < 4; step++) {
    run_sample(context(), {3, 3, {0, 1, 0, 2, 0, 0, 0, 0, 3}}, draws(3), {}, nullptr, tokens.view());
  }
  EXPECT_THAT(tokens.lengths(), ElementsAre(6, 4, 9));  // the last is full
  EXPECT_THAT(tokens.ids(),
              ElementsAre(5, 6, 1, 1, 1, 1, -1, -1, -1, 0, 0, 0, 0, -1, -1, -1, -1, -1, 1, 2, 3, 4, 5, 6, 2, 2, 2));
}

// ---- sizes ----

struct Shape {
  int64_t rows, columns;
};
std::string name(const Shape& shape) { return fmt::format("{}x{}", shape.rows, shape.columns); }

const SamplingParams many_params[] = {
    {},
    {.greedy = false},
    {.greedy = false, .temperature = 0.7f},
    {.greedy = false, .top_k = 1},
    {.greedy = false, .top_k = 50},
    {.greedy = false, .top_k = 5000},
    {.greedy = false, .top_p = 0.9f},
    {.greedy = false, .temperature = 1.5f, .top_p = 0.999f},
    {.greedy = false, .min_p = 0.02f},
    {.greedy = false, .top_p = 0.95f, .min_p = 0.2f},
    {.greedy = false, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .seed = 7},
};

// Rows that differ in spread, one of them with equal logits, one with -inf.
Matrix uneven_rows(int64_t rows, int64_t columns) {
  Matrix logits = normal_rows(rows, columns, 5);
  for (int64_t r = 0; r < rows; r++) {
    const float factor = r % 5 == 4 ? 0 : 0.7f * static_cast<float>(1 << r % 4);
    for (int64_t i = 0; i < columns; i++) {
      logits.row(r)[i] = r % 7 == 6 && i % 3 > 0 ? -infinity : logits.row(r)[i] * factor;
    }
  }
  return logits;
}

class SampleShape : public BackendTest<Shape> {};
INSTANTIATE_BACKENDS(SampleShape, Shape{0, 3}, Shape{1, 1}, Shape{9, 1}, Shape{2, 2}, Shape{5, 31}, Shape{3, 63},
                     Shape{3, 64}, Shape{3, 65}, Shape{12, 1009}, Shape{2, 50257}, Shape{7, 8193}, Shape{1, 151936});

TEST_P(SampleShape, DrawsWhereTheCumulativeProbabilityExceedsU) {
  const Matrix logits = uneven_rows(shape().rows, shape().columns);
  const auto names = draws(shape().rows, 1000);
  for (const auto& params : many_params) {
    const auto found = run_sample(context(), logits, names, params);
    for (int64_t r = 0; r < logits.rows; r++) {
      const std::vector<float> row(logits.row(r), logits.row(r) + logits.columns);
      const int32_t id = found.ids[r];
      if (params.greedy) {
        ASSERT_EQ(id, std::max_element(row.begin(), row.end()) - row.begin());
        continue;
      }
      const auto p = naive_distribution(row, params);
      const double before = std::accumulate(p.begin(), p.begin() + id, 0.0);
      const double u =
          0x1p-64 * static_cast<double>(philox(params.seed, names[r].row, names[r].variant, names[r].position));
      ASSERT_GT(p[id], 0) << "row " << r;
      ASSERT_LT(before, u + 1e-6) << "row " << r;
      ASSERT_GT(before + p[id], u - 1e-6) << "row " << r;
      ASSERT_NEAR(found.sampled_log_probabilities[r], std::log(p[id]), 1e-5) << "row " << r;
    }
  }
}

TEST_P(SampleShape, EqualsTheFirstInstructionSet) {
  const Matrix logits = uneven_rows(shape().rows, shape().columns),
               model = normal_rows(shape().rows, shape().columns, 6);
  auto cpu = Context::cpu(1, Isa::v3);
  for (const auto& params : many_params) {
    const auto found = run_sample(context(), logits, draws(logits.rows), params, &model),
               expected = run_sample(cpu, logits, draws(logits.rows), params, &model);
    ASSERT_EQ(found.ids, expected.ids);
    // The same sums; only the logarithm may differ in its last bit.
    for (int64_t r = 0; r < logits.rows; r++) {
      ASSERT_FLOAT_EQ(found.log_probabilities[r], expected.log_probabilities[r]);
      ASSERT_FLOAT_EQ(found.sampled_log_probabilities[r], expected.sampled_log_probabilities[r]);
    }
  }
}

TEST_P(SampleShape, RowsDoNotDependOnTheirBatch) {
  const Matrix logits = uneven_rows(shape().rows, shape().columns);
  const auto names = draws(logits.rows);
  const auto order = permutation(logits.rows, 4);
  std::vector<Draw> shuffled;
  for (const int32_t r : order) shuffled.push_back(names[r]);
  for (const auto& params : {many_params[1], many_params[10]}) {
    const auto whole = run_sample(context(), logits, names, params);
    const auto mixed = run_sample(context(), rows_of(logits, order), shuffled, params);
    for (int64_t i = 0; i < logits.rows; i++) {
      ASSERT_EQ(mixed.ids[i], whole.ids[order[i]]);
      ASSERT_EQ(mixed.log_probabilities[i], whole.log_probabilities[order[i]]);
      ASSERT_EQ(mixed.sampled_log_probabilities[i], whole.sampled_log_probabilities[order[i]]);
    }
    const int64_t some = std::min<int64_t>(logits.rows, 5);
    for (int64_t r = 0; r < some; r++) {
      const auto single = run_sample(context(), rows_of(logits, {static_cast<int32_t>(r)}), {names[r]}, params);
      ASSERT_EQ(single.ids[0], whole.ids[r]);
      ASSERT_EQ(single.sampled_log_probabilities[0], whole.sampled_log_probabilities[r]);
    }
  }
}

TEST(SamplingTask, WrongArguments) {
  auto context = Context::cpu(1);
  const auto with = [&](const SamplingParams& params) {
    return [&context, params] { run_sample(context, {1, 2, {0, 0}}, draws(1), params); };
  };
  const auto says = [](const char* text) { return ThrowsMessage<std::invalid_argument>(HasSubstr(text)); };
  EXPECT_THAT(with({.greedy = false, .temperature = 0}),
              says("temperature is 0, expected 1e-06 to 1000000; for the most"));
  EXPECT_THAT(with({.greedy = false, .temperature = infinity}), says("temperature is inf"));
  EXPECT_THAT(with({.greedy = false, .temperature = nan_logit}), says("temperature is nan"));
  EXPECT_THAT(with({.greedy = false, .top_k = -1}), says("top_k is -1, expected 0 or more"));
  EXPECT_THAT(with({.greedy = false, .top_p = 1.01f}), says("top_p is 1.01, expected 0 to 1"));
  EXPECT_THAT(with({.greedy = false, .min_p = -0.1f}), says("min_p is -0.1, expected 0 to 1"));
  float logits[2] = {};
  int32_t id;
  EXPECT_THAT(([&] {
                sample(context, {.logits = {logits, 1, 2}, .model_logits = {logits, 2, 1}, .ids = &id});
              }),
              says("model_logits have 2 x 1 elements, logits 1 x 2"));
  EXPECT_THAT(([&] {
                sample(context, {.logits = {logits, 1, 0}, .model_logits = {logits, 1, 0}, .ids = &id});
              }),
              says("0 logits per row, expected 1 to 4194304"));
  const Rows<const float> two{logits, 1, 2};
  EXPECT_THAT(([&] { sample(context, {.logits = two, .model_logits = two}); }), says("no array for the ids"));
  EXPECT_THAT(([&] { sample(context, {.logits = two, .model_logits = two, .params = {.greedy = false}, .ids = &id}); }),
              says("no draws"));
  EXPECT_THAT(([&] { sample(context, {.logits = two, .model_logits = two, .ids = &id, .append = {.ids = &id}}); }),
              says("no lengths"));
}

}  // namespace
}  // namespace sartor::cuda
