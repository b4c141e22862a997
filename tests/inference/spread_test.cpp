// Recommendations of a Bayesian model have a column with the spread of the predicted ratings.
#include <gmock/gmock.h>

#include "models/factorization/bayesian/bpmf_model.h"
#include "scoring/recommend.h"
#include "support/folder_test.h"

namespace sartor::inference {
namespace {

class SpreadTest : public testing::FolderTest {};

// Four samples of one factor without biases. The ratings of 用户 are 0.5 for a, and 1 or 3 for b.
TEST_F(SpreadTest, IsWrittenForUsersOfTheModel) {
  BpmfModel model;
  model.samples = 4;
  model.biases = false;
  model.factors = 4;
  model.user_factors = {0.5f, 0.5f, 0.5f, 0.5f, 1, 1, 1, 1};  // 1 or 2, divided by sqrt(samples)
  model.item_factors = {0.25f, 0.25f, 0.25f, 0.25f, 0.5f, 1.5f, 0.5f, 1.5f, 0, 0, 0, 0};
  model.user_bias = {0, 0};
  model.item_bias = {0, 0, 0};
  model.user_sample_bias.resize(8);
  model.item_sample_bias.resize(12);
  model.prior_mean = model.prior_precision = model.noise_precision = {1, 1};
  model.rating_max = 5;
  model.item_count = {1, 1, 1};
  for (const char* id : {"用户", "neu"}) model.users.insert(id);
  for (const char* id : {"a", "b", "c"}) model.items.insert(id);
  model.seen_offsets = {0, 1, 1};
  model.seen_items = {2};
  model.seen_ratings = {3};

  RecommendConfig config;
  config.output = path("lists.csv");
  config.k = 5;
  Runtime runtime = {.threads = 1, .context = cuda::Context::cpu(1), .device = ""};
  recommend(config, model, runtime);
  EXPECT_EQ(read("lists.csv"),
            "user,rank,item,score,basis,spread\n用户,1,b,2,model,1\n用户,2,a,0.5,model,0\n"
            "neu,1,a,1,popularity,\nneu,2,b,1,popularity,\nneu,3,c,1,popularity,\n");
}

}  // namespace
}  // namespace sartor::inference
