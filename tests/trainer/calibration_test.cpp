// Temperatures against a grid search, probabilities and errors against naive sums.
#include "metrics/calibration.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "base/random.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

constexpr int64_t rows = 400, classes = 3;

// Overconfident logits: labels are drawn from the softmax of the logits divided by `certainty`.
struct Made {
  std::vector<float> logits;
  std::vector<int32_t> labels;
};
Made made(double certainty) {
  Made data;
  for (int64_t row = 0; row < rows; row++) {
    double powers[classes], sum = 0;
    for (int64_t k = 0; k < classes; k++) {
      const double logit = 2 * random_normal(1, row * classes + k);
      data.logits.push_back(static_cast<float>(logit * certainty));
      sum += powers[k] = std::exp(logit);
    }
    double drawn = static_cast<double>(random_bits(2, row) >> 11) * 0x1p-53 * sum;
    int32_t label = 0;
    while (label < classes - 1 && drawn >= powers[label]) drawn -= powers[label++];
    data.labels.push_back(label);
  }
  return data;
}

double naive_softmax_loss(const Made& data, double temperature) {
  double loss = 0;
  for (int64_t row = 0; row < rows; row++) {
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) sum += std::exp(data.logits[row * classes + k] / temperature);
    loss -= data.logits[row * classes + data.labels[row]] / temperature - std::log(sum);
  }
  return loss;
}

double naive_sigmoid_loss(const std::vector<float>& logits, const std::vector<float>& labels, double temperature) {
  double loss = 0;
  for (size_t i = 0; i < logits.size(); i++) {
    const double p = 1 / (1 + std::exp(-logits[i] / temperature));
    loss -= std::log(labels[i] == 1 ? p : 1 - p);
  }
  return loss;
}

// Grid search for the temperature with the lowest loss, coarse, then fine.
double searched(const std::function<double(double)>& loss) {
  double best = 0.1;
  for (double t = 0.1; t < 10; t += 0.01) best = loss(t) < loss(best) ? t : best;
  const double around = best;
  for (double t = around - 0.02; t < around + 0.02; t += 0.0001) best = loss(t) < loss(best) ? t : best;
  return best;
}

TEST(Temperature, IsThatOfASearch) {
  for (const double certainty : {0.5, 1.0, 3.0}) {
    const auto data = made(certainty);
    const auto found = softmax_temperature(data.logits, data.labels, classes);
    ASSERT_TRUE(found);
    EXPECT_NEAR(*found, searched([&](double t) { return naive_softmax_loss(data, t); }), 1e-4);
    EXPECT_NEAR(*found, certainty, 0.15 * certainty);
  }
}

TEST(Temperature, OfSigmoidsIsThatOfASearch) {
  std::vector<float> logits, labels;
  for (int64_t i = 0; i < rows; i++) {
    const double logit = 1.5 * random_normal(3, i);
    logits.push_back(static_cast<float>(2.5 * logit));
    labels.push_back(static_cast<double>(random_bits(4, i) >> 11) * 0x1p-53 < 1 / (1 + std::exp(-logit)) ? 1 : 0);
  }
  const auto found = sigmoid_temperature(logits, labels);
  ASSERT_TRUE(found);
  EXPECT_NEAR(*found, searched([&](double t) { return naive_sigmoid_loss(logits, labels, t); }), 1e-4);
}

TEST(Temperature, GrowsWithTheLogits) {
  auto data = made(1);
  const auto before = softmax_temperature(data.logits, data.labels, classes);
  for (auto& logit : data.logits) logit *= 4;
  EXPECT_NEAR(*softmax_temperature(data.logits, data.labels, classes), *before * 4, 1e-9);
}

TEST(Temperature, IsNoneWhereNoneIsLeast) {
  EXPECT_FALSE(softmax_temperature(std::vector<float>{2, 1, -3, 4}, std::vector<int32_t>{0, 1}, 2)) << "all right";
  EXPECT_FALSE(softmax_temperature(std::vector<float>{2, 1, -3, 4}, std::vector<int32_t>{1, 0}, 2)) << "all wrong";
  EXPECT_FALSE(softmax_temperature({}, {}, 2));
  EXPECT_FALSE(sigmoid_temperature(std::vector<float>{2, -1}, std::vector<float>{1, 0})) << "all right";
  EXPECT_FALSE(sigmoid_temperature({}, {}));
}

TEST(Temperature, NamesWhatDoesNotFit) {
  const std::vector<float> logits = {1, 2, 3, 4};
  EXPECT_THAT([&] { softmax_temperature(logits, std::vector<int32_t>{0}, 2); },
              ThrowsMessage<std::invalid_argument>("4 logits for 1 labels of 2 classes"));
  EXPECT_THAT(
      [&] {
        softmax_temperature(logits, std::vector<int32_t>{0, 2}, 2);
      },
      ThrowsMessage<std::invalid_argument>("label 2, expected 0 to 1"));
  EXPECT_THAT([&] { sigmoid_temperature(logits, std::vector<float>{0}); },
              ThrowsMessage<std::invalid_argument>("4 logits for 1 labels"));
  EXPECT_THAT(
      [&] {
        sigmoid_temperature(logits, std::vector<float>{0, 1, 0.5f, 1});
      },
      ThrowsMessage<std::invalid_argument>("label 0.5, expected 0 or 1"));
}

TEST(Probabilities, AreExponentialsOverTheirSum) {
  const std::vector<float> logits = {0, 1, 2, -1, 5, 5};
  const auto found = softmax(logits, 3, 2);
  for (size_t row = 0; row < 6; row += 3) {
    double sum = 0;
    for (size_t k = row; k < row + 3; k++) sum += std::exp(logits[k] / 2);
    for (size_t k = row; k < row + 3; k++) EXPECT_NEAR(found[k], std::exp(logits[k] / 2) / sum, 1e-7);
  }
  for (size_t i = 0; i < 6; i++) EXPECT_NEAR(sigmoid(logits, 2)[i], 1 / (1 + std::exp(-logits[i] / 2)), 1e-7);
  EXPECT_THAT(softmax(std::vector<float>{1e30f, -1e30f}, 2, 0.01), ElementsAre(1, 0));
  EXPECT_THAT(sigmoid(std::vector<float>{1e30f, -1e30f}, 0.01), ElementsAre(1, 0));
  EXPECT_THAT(softmax({}, 3), IsEmpty());
}

TEST(BinaryCalibration, IsThatOfItsBins) {
  std::vector<float> labels, probabilities;
  for (int64_t i = 0; i < rows; i++) {
    probabilities.push_back(static_cast<float>(i % 50) / 49);
    labels.push_back(static_cast<float>(random_bits(5, i) % 2));
  }
  double loss = 0, error = 0;
  for (int bin = 0; bin < 15; bin++) {
    double said = 0, ones = 0;
    for (int64_t i = 0; i < rows; i++) {
      const double p = probabilities[i];
      if (!(p > bin / 15.0 && p <= (bin + 1) / 15.0) && !(bin == 0 && p == 0)) continue;
      said += p;
      ones += labels[i];
      loss -= std::log(std::max(labels[i] == 1 ? p : 1 - p, 2.220446049250313e-16)) / rows;
    }
    error += std::abs(said - ones) / rows;
  }
  const auto found = binary_calibration(labels, probabilities);
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].name, "log_loss");
  EXPECT_NEAR(found[0].value, loss, 1e-9);
  EXPECT_EQ(found[1].name, "calibration_error");
  EXPECT_NEAR(found[1].value, error, 1e-9);
  EXPECT_THAT(binary_calibration({}, {}), IsEmpty());
  EXPECT_THAT([&] { binary_calibration(labels, {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("0 probabilities for 400 labels")));
}

}  // namespace
}  // namespace sartor
