// Saved decoders can be opened by transformers and give the same logits. Requires the transformers installation of
// scripts/test.sh. Can also be run for folders of runs:
//   SARTOR_DECODER_FOLDERS=runs/copy/model:runs/other/model ctest --preset release -R Transformers
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "models/gpt/folder.h"
#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt {
namespace {

using namespace testing;

class GptInTransformers : public sartor::testing::FolderTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is missing: run scripts/setup.sh tests";
  }

  // Asks transformers once for all folders.
  void expect_the_same_models(const std::vector<std::string>& folders) {
    hf::Json asked = hf::Json::array();
    for (const auto& folder : folders) {
      const auto config = read_config(folder);
      const auto rows = random_rows({1, 40, 17}, static_cast<int32_t>(std::min<int64_t>(config.vocab_size, 50'000)));
      asked.push_back({{"folder", folder}, {"rows", rows}});
    }
    const auto status = run_command({sartor::testing::venv_program("python"),
                                     sartor::testing::source_path("tests/trainer/models/ask_transformers_logits.py"),
                                     write("asked.json", asked.dump()), path("answer.json")},
                                    {"PYTHONPATH=" + library});
    ASSERT_EQ(status.status, 0) << status.err;
    const auto answers = nlohmann::json::parse(read("answer.json"));
    const c10::NoGradGuard no_gradients;
    for (size_t i = 0; i < folders.size(); i++) {
      const auto model = load_gpt(folders[i]);
      const auto logits = model.logits(packed(model.config(), asked[i]["rows"].get<Rows>()));
      const double largest = logits.abs().max().item<double>();
      const double difference = largest_difference(logits, tensor(answers[i], logits.sizes())) / largest;
      EXPECT_LT(difference, 1e-5) << folders[i];
      fmt::print("{}: logits differ by {:.1e} of the largest\n", folders[i], difference);
    }
  }

  const std::string library = sartor::testing::source_path("build/transformers");
};

TEST_F(GptInTransformers, OpensEachFamily) {
  const hf::Json llama3 = {{"rope_type", "llama3"},
                           {"factor", 8},
                           {"low_freq_factor", 1},
                           {"high_freq_factor", 4},
                           {"original_max_position_embeddings", 50}};
  const std::vector<std::pair<std::string, hf::Json>> cases = {
      {"gpt2", {}},
      {"gpt2", {{"tie_word_embeddings", false}, {"scale_attn_by_inverse_layer_idx", true}}},
      {"llama", {{"rope_scaling", llama3}, {"rope_theta", 1000}, {"tie_word_embeddings", true}}},
      {"llama", {{"rope_scaling", {{"type", "yarn"}, {"factor", 4}}}, {"attention_bias", true}, {"mlp_bias", true}}},
      {"llama", {{"rope_scaling", {{"type", "dynamic"}, {"factor", 4}}}, {"max_position_embeddings", 30}}},
      {"llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 4}}}}},
      {"mistral", {{"rope_theta", 1e6}}},
      {"qwen2", {{"rope_theta", 1e6}, {"head_dim", 4}}},
      {"qwen3", {{"rope_parameters", {{"rope_theta", 1e6}}}, {"tie_word_embeddings", true}}}};
  std::vector<std::string> folders;
  for (const auto& [family, fields] : cases) {
    const auto model = made_model(small_config(family, fields.is_null() ? hf::Json::object() : fields));
    folders.push_back(path(family + std::to_string(folders.size())));
    std::filesystem::create_directory(folders.back());
    save_gpt(model, folders.back());
  }
  expect_the_same_models(folders);
}

TEST_F(GptInTransformers, OpensTheFoldersOfRuns) {
  const char* folders = std::getenv("SARTOR_DECODER_FOLDERS");
  if (!folders) GTEST_SKIP() << "SARTOR_DECODER_FOLDERS is not set";
  std::istringstream names(folders);
  std::vector<std::string> paths;
  for (std::string name; std::getline(names, name, ':');) paths.push_back(sartor::testing::source_path(name));
  expect_the_same_models(paths);
}

}  // namespace
}  // namespace sartor::gpt
