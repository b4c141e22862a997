// Scores of graph filters, EASE, RP3beta and Turbo-CF in comparison with dense matrices in double precision.
#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

#include "filters_support.h"
#include "linear/symmetric_eigen.h"
#include "models/filters/interaction_graph.h"

namespace sartor {
namespace {

using testing::FiltersTest;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using Dense = std::vector<double>;

// (n, m) = (n, d) (d, m)
Dense product(const Dense& a, const Dense& b, int64_t n, int64_t d, int64_t m) {
  Dense c(n * m);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t k = 0; k < d; k++) {
      for (int64_t j = 0; j < m; j++) c[i * m + j] += a[i * d + k] * b[k * m + j];
    }
  }
  return c;
}

// (I, I) sum over users of n_i^-a n_u^-b n_j^-c
Dense item_products(const Dense& x, int64_t users, int64_t items, double a, double b, double c) {
  Dense result(items * items), of_users(users), of_items(items);
  for (int64_t u = 0; u < users; u++) {
    for (int64_t i = 0; i < items; i++) of_users[u] += x[u * items + i], of_items[i] += x[u * items + i];
  }
  for (int64_t i = 0; i < items; i++) {
    for (int64_t j = 0; j < items; j++) {
      for (int64_t u = 0; u < users; u++) {
        if (x[u * items + i] * x[u * items + j] == 0) continue;
        result[i * items + j] += std::pow(of_items[i], -a) * std::pow(of_users[u], -b) * std::pow(of_items[j], -c);
      }
    }
  }
  return result;
}

void expect_near(const std::vector<float>& found, const Dense& expected, double relative) {
  ASSERT_EQ(found.size(), expected.size());
  double most = 0;
  for (const double value : expected) most = std::max(most, std::abs(value));
  for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], relative * most) << at;
}

// D^p h(P) D^-p + weight D^q V V^T D^-q by the eigenvectors of P, where h is given for eigenvalues.
template <class H> Dense gfcf_filter(const Dense& p, const Dense& counts, const GfcfConfig& config, const H& h) {
  const int64_t items = std::ssize(counts);
  const auto eigen = cuda::symmetric_eigen(p, items);
  Dense filter(items * items);
  for (int64_t i = 0; i < items; i++) {
    for (int64_t j = 0; j < items; j++) {
      double all = 0, low = 0;
      for (int64_t k = 0; k < items; k++) {
        const double part = eigen.vectors[i * items + k] * eigen.vectors[j * items + k];
        all += h(eigen.values[k]) * part;
        if (k < config.factors) low += part;
      }
      filter[i * items + j] = std::pow(counts[j] / counts[i], config.degree_power) * all +
                              config.ideal_weight * std::pow(counts[j] / counts[i], config.ideal_degree_power) * low;
    }
  }
  return filter;
}

class Gfcf_ : public FiltersTest {
 protected:
  template <class H> void expect_filter(const GfcfConfig& config, const H& h) const {
    const auto trained = train<Gfcf>(prepare(), config);
    const auto& model = dynamic_cast<const GfcfModel&>(*trained);
    const Dense x = dense(model), p = item_products(x, users, items, 0.5, 1, 0.5);
    const Dense counts(model.item_count.begin(), model.item_count.end());
    expect_near(scores_of(model), product(x, gfcf_filter(p, counts, config, h), users, items, items), 2e-4);
    EXPECT_EQ(scores_of(model, 1), scores_of(model, 3));
  }
};
using GfcfTest = Gfcf_;

TEST_F(GfcfTest, LinearFilterAndIdealLowPass) {
  expect_filter({.factors = 4, .iterations = 60}, [](double value) { return value; });
  expect_filter({.degree_power = 0.3, .factors = 0}, [](double value) { return value; });
}

TEST_F(GfcfTest, PlateauIsTheInterpolatingPolynomial) {
  for (const auto& [order, flatness] : {std::pair<int64_t, double>{1, 1.0}, {4, 2.0}, {8, 1.5}}) {
    const GfcfConfig config = {.filter = GraphFilter::plateau,
                               .order = order,
                               .flatness = flatness,
                               .degree_power = 0.4,
                               .factors = 3,
                               .ideal_weight = 0.2,
                               .ideal_degree_power = 0.4,
                               .iterations = 60};
    // Lagrange's formula through the roots of T_{order + 1}.
    std::vector<double> roots, values;
    for (int64_t k = 0; k <= order; k++) {
      roots.push_back(std::cos((double(k) + 0.5) * std::numbers::pi / double(order + 1)));
      const double x = -std::cos(double(k) * std::numbers::pi / double(order));
      values.push_back(0.5 + 0.5 * std::copysign(std::pow(std::abs(x), flatness), x));
    }
    expect_filter(config, [&](double eigenvalue) {
      double sum = 0;
      for (int64_t k = 0; k <= order; k++) {
        double part = values[k];
        for (int64_t m = 0; m <= order; m++) {
          if (m != k) part *= (1 - 2 * eigenvalue - roots[m]) / (roots[k] - roots[m]);
        }
        sum += part;
      }
      return sum;
    });
  }
}

TEST_F(GfcfTest, PlateauGrowsFromZeroToOne) {
  GfcfModel model;
  model.config = {.filter = GraphFilter::plateau, .order = 2, .flatness = 3};
  double at_one = 0, at_zero = 0;  // T_k(-1) = (-1)^k, T_k(1) = 1
  const auto coefficients = model.coefficients();
  for (size_t k = 0; k < coefficients.size(); k++) {
    at_zero += coefficients[k];
    at_one += k % 2 ? -coefficients[k] : coefficients[k];
  }
  EXPECT_LT(at_zero, 0.1);
  EXPECT_GT(at_one, 0.9);
}

// B of the closed form, from an eigendecomposition of X^T X.
Dense ease_weights(const Dense& g, int64_t items, double lambda) {
  const auto eigen = cuda::symmetric_eigen(g, items);
  Dense p(items * items), b(items * items);
  for (int64_t i = 0; i < items; i++) {
    for (int64_t j = 0; j < items; j++) {
      for (int64_t k = 0; k < items; k++) {
        p[i * items + j] += eigen.vectors[i * items + k] * eigen.vectors[j * items + k] / (eigen.values[k] + lambda);
      }
    }
  }
  for (int64_t i = 0; i < items; i++) {
    for (int64_t j = 0; j < items; j++) b[i * items + j] = i == j ? 0 : -p[i * items + j] / p[j * items + j];
  }
  return b;
}

TEST_F(FiltersTest, EaseIsTheClosedForm) {
  const auto trained = train<Ease>(prepare(), {.regularization = 3});
  const auto& model = dynamic_cast<const EaseModel&>(*trained);
  EXPECT_FALSE(model.by_users());
  const Dense x = dense(model), g = item_products(x, users, items, 0, 0, 0), b = ease_weights(g, items, 3);
  expect_near(*model.inverse, b, 1e-5);
  expect_near(scores_of(model), product(x, b, users, items, items), 1e-5);
  EXPECT_EQ(scores_of(model, 1), scores_of(model, 3));
}

TEST_F(FiltersTest, EaseWithFewUsersInvertsTheMatrixOfUsers) {
  const auto trained = train<Ease>(prepare(0, 19), {.regularization = 3});
  const auto& model = dynamic_cast<const EaseModel&>(*trained);
  ASSERT_TRUE(model.by_users());
  const Dense x = dense(model), g = item_products(x, 19, items, 0, 0, 0), b = ease_weights(g, items, 3);
  const Dense expected = product(x, b, 19, items, items);
  expect_near(scores_of(model), expected, 1e-5);
  expect_near(scores_of(model, 2, true), expected, 1e-5);
}

TEST_F(FiltersTest, Rp3betaIsARandomWalk) {
  const auto all = train<Rp3beta>(prepare(), {.alpha = 0.8, .beta = 0.4, .neighbors = 0});
  Dense w = item_products(dense(*all), users, items, 0.8, 0.8, 0.4);
  for (int64_t i = 0; i < items; i++) w[i * items + i] = 0;
  expect_near(scores_of(dynamic_cast<const HistoryModel&>(*all)), product(dense(*all), w, users, items, items), 1e-5);

  const auto few = train<Rp3beta>(prepare(), {.alpha = 0.8, .beta = 0.4, .neighbors = 5});
  const auto& model = dynamic_cast<const ItemGraphModel&>(*few);
  Dense kept(items * items);
  for (int64_t i = 0; i < items; i++) {
    Dense row(w.begin() + i * items, w.begin() + (i + 1) * items);
    std::ranges::nth_element(row, row.begin() + 4, std::greater<>());
    EXPECT_EQ(model.weights.offsets[i + 1] - model.weights.offsets[i], 5);
    for (int64_t at = model.weights.offsets[i]; at < model.weights.offsets[i + 1]; at++) {
      const int64_t cell = i * items + model.weights.columns[at];
      EXPECT_GE(w[cell], row[4] * (1 - 1e-5)) << "one of the largest, of which some are equal";
      kept[cell] = w[cell];
    }
  }
  expect_near(scores_of(model), product(dense(*few), kept, users, items, items), 1e-5);
}

TEST_F(FiltersTest, TurbocfIsAPolynomialOfTheWeights) {
  for (const auto filter : {TurboFilter::linear, TurboFilter::quadratic, TurboFilter::cubic}) {
    const TurbocfConfig config = {.filter = filter, .alpha = 0.6, .exponent = 0.7};
    const auto trained = train<Turbocf>(prepare(), config);
    const Dense x = dense(*trained);
    Dense w = item_products(x, users, items, 0.4, 1.2, 0.4), sum(users * items), power = x;
    for (double& value : w) value = std::pow(value, 0.7);
    for (const float coefficient : config.coefficients()) {
      power = product(power, w, users, items, items);
      for (size_t at = 0; at < sum.size(); at++) sum[at] += coefficient * power[at];
    }
    expect_near(scores_of(dynamic_cast<const HistoryModel&>(*trained)), sum, 1e-5);
  }
}

// The sum of the losses of all users, by the definition.
double elsa_loss(const Dense& x, const Dense& a, int64_t users, int64_t items, int64_t factors) {
  double loss = 0;
  for (int64_t u = 0; u < users; u++) {
    Dense s(items);
    double squares = 0, length = 0, product = 0;
    for (int64_t j = 0; j < items; j++) {
      for (int64_t i = 0; i < items; i++) {
        for (int64_t k = 0; k < factors && x[u * items + i] > 0; k++) s[j] += a[i * factors + k] * a[j * factors + k];
      }
      s[j] = std::max(s[j] - x[u * items + j], 0.0);
      squares += s[j] * s[j], length += x[u * items + j], product += s[j] * x[u * items + j];
    }
    loss += 2 - 2 * product / std::sqrt(squares * length);
  }
  return loss;
}

TEST_F(FiltersTest, AStepOfElsaFollowsTheGradient) {
  // The first step of Adam moves each element by the learning rate against the sign of its gradient.
  constexpr int64_t f = 3;
  const auto path = prepare();
  const ElsaConfig config = {.factors = f, .batch_size = 1000, .learning_rate = 1e-6};
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(path);
  Elsa elsa(config, data, context);
  const auto start = elsa.model();
  const auto& before = dynamic_cast<const ElsaModel&>(*start).item_factors;
  elsa.save(folder_);
  const auto weights = datasets::Hdf5File::open(folder_ / "state.h5").list<float>("weights").read();
  elsa.train_epoch();
  elsa.save(folder_);
  const auto slopes = datasets::Hdf5File::open(folder_ / "state.h5").list<float>("first_moment").read();
  auto trained = train<Rp3beta>(path, {});
  const Dense x = dense(*trained);
  for (const int64_t at : {0L, 7L, 40L, 3L * items - 1}) {
    const auto loss = [&](double change) {
      Dense w(weights.begin(), weights.end()), a(w.size());
      w[at] += change;
      for (int64_t i = 0; i < items; i++) {
        const double length = std::hypot(w[i * f], w[i * f + 1], w[i * f + 2]);
        for (int64_t k = 0; k < f; k++) a[i * f + k] = w[i * f + k] / length;
      }
      return elsa_loss(x, a, users, items, f);
    };
    const double expected = (loss(1e-7) - loss(-1e-7)) / 2e-7;
    EXPECT_NEAR(slopes[at] / 0.1, expected, 1e-3 + 5e-3 * std::abs(expected)) << at;  // scores near 0 round
  }
  EXPECT_EQ(before.size(), size_t(items * f));
}

TEST_F(FiltersTest, ElsaLearnsAndFoldsIn) {
  const auto path = prepare();
  const auto few = train<Elsa>(path, {.factors = 8, .epochs = 1}),
             many = train<Elsa>(path, {.factors = 8, .epochs = 40});
  const auto histories = train<Rp3beta>(path, {});
  const auto loss = [&](const TrainedModel& model) {
    const auto& a = dynamic_cast<const ElsaModel&>(model).item_factors;
    return elsa_loss(dense(*histories), {a.begin(), a.end()}, users, items, 8);
  };
  EXPECT_LT(loss(*many), 0.9 * loss(*few));
  const auto& model = dynamic_cast<const ElsaModel&>(*many);
  auto context = cuda::Context::cpu(1);
  const UserRatings ratings = {histories->seen_offsets, histories->seen_items, {}};
  EXPECT_EQ(model.fold_in(context, ratings), model.user_factors);
  EXPECT_TRUE(model.knows(3));
  EXPECT_TRUE(model.predict(0, {}).empty());
}

TEST_F(FiltersTest, RanksWithoutExcludedItemsAndOnlyOffered) {
  const auto trained = train<Rp3beta>(prepare(), {});
  const auto& model = dynamic_cast<const HistoryModel&>(*trained);
  auto context = cuda::Context::cpu(2);
  const auto scores = scores_of(model);
  const auto scorer = model.scorer(context, {.offered = {1, 4, 8, 20, 30}});
  EXPECT_EQ(scorer->offered(), 5);
  const std::vector<int32_t> rows = {7, 3}, excluded = {4, 8};
  const std::vector<int64_t> offsets = {0, 1, 2};
  const auto ranked = scorer->rank(rows, {2, offsets.data(), excluded.data()}, 5);
  for (int64_t row = 0; row < 2; row++) {
    std::vector<std::pair<float, int32_t>> expected;
    for (const int32_t item : {1, 4, 8, 20, 30}) {
      if (item != excluded[row]) expected.emplace_back(-scores[rows[row] * items + item], item);
    }
    std::ranges::sort(expected);
    for (int64_t rank = 0; rank < 4; rank++) EXPECT_EQ(ranked.of(row)[rank], expected[rank].second);
    EXPECT_EQ(ranked.of(row)[4], -1);
  }
  const UserRatings history = {{0, std::ssize(model.seen_by(7))},
                               {model.seen_by(7).begin(), model.seen_by(7).end()},
                               std::vector<float>(model.seen_by(7).size(), 4)};
  const auto folded = scorer->rank(history, {1, offsets.data(), excluded.data()}, 5);
  EXPECT_TRUE(std::ranges::equal(folded.of(0), ranked.of(0))) << "a history gives the same list as its user";
}

}  // namespace
}  // namespace sartor
