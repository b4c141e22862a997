// Bayesian probabilistic matrix factorization (Salakhutdinov and Mnih 2008) with biases and side information: a Gibbs
// sampler over the normal equations of ALS. With several ranks, each draws a share of the users and of the items, as in
// als.h. The samples depend on the seed alone, not on the numbers of ranks and threads.
#pragma once

#include <optional>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/bayesian/bpmf_model.h"
#include "models/factorization/bayesian/row_prior.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/row_shares.h"
#include "runtime/collective.h"
#include "storage/prepared.h"

namespace sartor {

struct BpmfConfig {
  int64_t factors = 10;
  bool biases = true;
  int64_t epochs = 300;
  int64_t burn_in = 30;
  int64_t keep_every = 3;
  std::optional<float> noise_precision;
  float init_scale = 0.1f;
  int64_t seed = 42;
  double popularity_weight = 0;
  std::optional<FeatureTableConfig> user_features, item_features;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 4096), "Latent dimensions of users and items.");
    field("biases", biases, "Draw user and item biases in addition to the global mean.");
    field("epochs", epochs, at_least(1), "Sweeps of the sampler over users and items.");
    field("burn_in", burn_in, at_least(0), "Sweeps at the start that are left out of the predictions.");
    field("keep_every", keep_every, at_least(1),
          "Sweeps per sample that is kept. Predictions are means over the samples; the model has factors x samples "
          "numbers per user and item.");
    field("noise_precision", noise_precision, above(0),
          "Precision of ratings given their mean (alpha). Drawn in every sweep if absent.");
    field("init_scale", init_scale, above(0), "Standard deviation of the initial factors.");
    field("seed", seed, at_least(0), "Seed of all random numbers.");
    field("popularity_weight", popularity_weight, at_least(0),
          "Recommendations are ranked by <user, item> + popularity_weight log(1 + n) for an item with n ratings, or by "
          "predicted rating if popularity_weight is 0.");
    field("user_features", user_features, "Table of features of users, on which their prior means depend.");
    field("item_features", item_features, "Table of features of items, on which their prior means depend.");
  }
  void check() const {
    require(burn_in + keep_every <= epochs,
            "epochs is {}, expected at least burn_in + keep_every = {}, so that there is a sample", epochs,
            burn_in + keep_every);
  }
  std::vector<std::filesystem::path> reads() const;
};

class Bpmf : public Factorizer {
 public:
  static constexpr std::string_view name = "bpmf";
  using Config = BpmfConfig;
  using Model = BpmfModel;

  // Reads the training ratings and the features. ranks: the processes that train together; null: only this process.
  // Throws std::invalid_argument if there are no ratings or features are invalid.
  Bpmf(const BpmfConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;  // a sweep
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<BpmfModel>(factors()); }
  BpmfModel factors() const;  // the same model. Before the first sample is kept, that of the last sweep

  // FOLDER/state.h5: factors, priors and samples.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  struct Side : FactorSide {
    RowPrior prior;
    std::vector<float> samples;  // (samples, rows, F)
  };
  // What a sample has in addition to the factors.
  struct Parameters {
    std::vector<float> prior_mean, prior_precision, noise_precision;  // as in BpmfModel
  };

  Side make_side(const datasets::StoredRatings& ratings, const std::optional<FeatureTableConfig>& features,
                 const char* field, const datasets::IdMap& ids);
  int64_t columns() const { return config_.factors + config_.biases; }  // F
  int64_t kept() const { return std::ssize(samples_.noise_precision); }
  void draw_noise(RandomStream random);
  void draw_prior(Side& side, int64_t purpose);
  void draw(const Side& fixed, Side& drawn, int64_t purpose, double* errors);
  void keep(std::vector<float>& user_samples, std::vector<float>& item_samples, Parameters& parameters) const;

  BpmfConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  std::vector<int64_t> item_counts_;
  double mean_, rating_min_, rating_max_;
  int64_t ratings_, sweep_ = 0;
  Side users_, items_;
  double squared_error_;  // of all ratings
  double noise_precision_;
  Parameters samples_;
};

}  // namespace sartor
