// Task finetune from the command line.
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "datasets/generation_support.h"
#include "integration/refusals.h"
#include "integration/trained_models.h"
#include "models/hf/text_input.h"
#include "support/ranks.h"
#include "support/tokenized_texts.h"

namespace sartor::testing {
namespace {

using datasets::Content;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr int64_t tokens = 40, longest = 16;

// Texts in which each token is one of two that may follow the one before it. The prompt has `prompt` tokens.
TokenizedRow text(uint64_t seed, bool second_choice = false) {
  TokenizedRow row;
  row.ids.push_back(static_cast<int32_t>(2 + random_bits(seed, 0) % (tokens - 2)));
  const auto length = 4 + random_bits(seed, 1) % (longest - 4);
  for (uint64_t i = 1; i < length; i++) {
    row.ids.push_back(static_cast<int32_t>(2 + (row.ids.back() * 7 + (second_choice ? 3 : 1)) % (tokens - 2)));
  }
  return row;
}

template <class Base> class FinetuneOf : public Base {
 protected:
  void SetUp() override {
    write_plain_tokenizer(this->path("词"), tokens);
    TokenizedParts texts, pairs;
    const auto add = [&](TokenizedRows TokenizedParts::*part, int64_t count, uint64_t seed) {
      for (int64_t i = 0; i < count; i++) {
        auto row = text(random_bits(seed, i), i % 3 == 0);
        row.prompt = i % 2 ? 2 : 0;
        row.weight = static_cast<float>(1 + i % 3) / 2;
        (texts.*part).push_back(row);
        for (const bool rejected : {false, true}) {
          auto other = text(random_bits(seed, i), rejected);
          other.prompt = 1;
          (pairs.*part).push_back(other);
        }
      }
    };
    add(&TokenizedParts::train, 60, 1);
    add(&TokenizedParts::validation, 12, 2);
    add(&TokenizedParts::test, 10, 3);
    write_tokenized(this->path("texts.h5"), Content::prompt_completion, this->path("词"), texts, true, longest);
    write_tokenized(this->path("pairs.h5"), Content::preference, this->path("词"), pairs, false, longest);
  }

  static constexpr const char* shape =
      "{model_type: qwen3, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1, "
      "head_dim: 8, intermediate_size: 24, max_position_embeddings: 16}";
  static std::string config(const std::string& run, const std::string& model, const std::string& training,
                            const std::string& more = "", const std::string& data = "texts.h5") {
    const bool has_rate = training.find("learning_rate") != std::string::npos;
    return fmt::format(
        "task: finetune\ndevice: cpu\nthreads: 1\ndata: {{path: FOLDER/{}}}\nmodel: {}\n"
        "training: {{logging_steps: 1, {}{}}}\n{}output: FOLDER/{}\n",
        data, model, training, has_rate ? "" : ", learning_rate: 0.01", more, run);
  }
  static std::string new_model(const std::string& run, const std::string& training, const std::string& more = "") {
    return config(run, fmt::format("{{tokenizer: FOLDER/词, shape: {}}}", shape), training, more);
  }
  static std::string gpt2(const std::string& dropout) {
    return "{tokenizer: FOLDER/词, shape: {model_type: gpt2, hidden_size: 16, num_hidden_layers: 2, "
           "num_attention_heads: 2, max_position_embeddings: 16}, dropout: " +
           dropout + ", attention_dropout: " + dropout + "}";
  }
  static std::string continued(const std::string& run, const std::string& training, const std::string& more = "",
                               const std::string& data = "texts.h5", const std::string& model = "") {
    return config(run, "{path: FOLDER/base/model" + model + "}", training, more, data);
  }
};

class Finetune : public FinetuneOf<TrainedModels> {
 protected:
  void make_base() { expect_done(train(new_model("base", "num_train_epochs: 4, per_device_batch_size: 8"))); }

  // Kills a run twice, at two of its calls on files, and expects that it ends like one that was not interrupted.
  void expect_resumable(const std::string& config_of_run) {
    const auto named = [&](const std::string& name) {
      return std::string(config_of_run).replace(config_of_run.find("RUN"), 3, name);
    };
    expect_done(train(named("whole")));
    const auto words = command("sartor-train", named("killed"));
    const int64_t calls = count_calls(words, folder_);
    std::filesystem::remove_all(path("killed"));
    for (const int64_t call : {calls / 2, calls / 3}) {
      auto again = words;
      if (std::filesystem::exists(path("killed"))) again.push_back("--resume");
      EXPECT_EQ(run_with_fault(again, folder_, call, Fault::kill_before).status, 137);
    }
    ASSERT_TRUE(std::filesystem::exists(path("killed")));
    auto again = words;
    again.push_back("--resume");
    expect_done(run_command(again));
    EXPECT_EQ(json::parse(read("killed/provenance.json"))["starts"].size(), 3);
    EXPECT_EQ(weights("killed"), weights("whole"));
    for (const char* name : {"loss", "grad_norm"}) {
      EXPECT_EQ(logged("killed", "train", name), logged("whole", "train", name)) << name;
    }
    EXPECT_EQ(logged("killed", "validation", "loss"), logged("whole", "validation", "loss"));
    EXPECT_EQ(read("killed/results.json"), read("whole/results.json"));
  }
};

TEST_F(Finetune, LearnsFromScratchAndGoesOn) {
  expect_done(train(new_model("base", "num_train_epochs: 12, per_device_batch_size: 8")));
  const auto losses = logged("base", "validation", "loss");
  ASSERT_EQ(losses.size(), 12);
  EXPECT_LT(losses.back(), losses.front() - 1);
  const auto results = json::parse(read("base/results.json"));
  EXPECT_EQ(results["validation"]["loss"], losses.back());
  for (const char* name : {"loss", "perplexity", "bits_per_byte", "accuracy"}) {
    EXPECT_TRUE(results["test"][name].is_number()) << name;
  }
  EXPECT_GT(logged("base", "train", "mfu").back(), 0);
  EXPECT_TRUE(std::filesystem::exists(path("base/evaluation/test.parquet")));
  EXPECT_TRUE(std::filesystem::exists(path("base/evaluation/validation.parquet")));
  EXPECT_EQ(json::parse(read("base/model/config.json"))["architectures"][0], "Qwen3ForCausalLM");
  EXPECT_EQ(hf::read_text_input(path("base/model"))->text, "{text}");

  expect_done(train(continued("on", "max_steps: 1, learning_rate: 0")));
  EXPECT_EQ(weights("on"), weights("base"));
  expect_done(train(continued("best",
                              "num_train_epochs: 3, load_best_model_at_end: true, metric_for_best_model: "
                              "bits_per_byte, per_device_batch_size: 8")));
  const auto best = logged("best", "validation", "bits_per_byte");
  EXPECT_EQ(json::parse(read("best/results.json"))["validation"]["bits_per_byte"], std::ranges::min(best));
}

TEST_F(Finetune, PreferencesRaiseTheMargin) {
  make_base();
  const std::string training = "num_train_epochs: 3, per_device_batch_size: 8, learning_rate: 0.003";
  expect_done(train(continued("dpo", training, "", "pairs.h5")));
  const auto results = json::parse(read("dpo/results.json"));
  EXPECT_GT(results["test"]["accuracy"], 0.9);
  EXPECT_GT(results["test"]["margin"], 0);
  EXPECT_LT(results["test"]["loss"], 0.65);
  EXPECT_TRUE(std::filesystem::exists(path("dpo/evaluation/test.parquet")));
  EXPECT_NEAR(logged("dpo", "train", "loss").front(), std::log(2), 1e-5);  // the reference is the initial model
  expect_done(train(continued("ipo", training, "objective: ipo\nreference: FOLDER/dpo/model\n", "pairs.h5")));
  EXPECT_NE(logged("ipo", "train", "loss").front(), 25);
}

TEST_F(Finetune, AccumulationRanksAndRecomputationChangeNothing) {
  make_base();
  const std::string packed = "packing: true\npack_length: 32\n";
  for (const auto& [name, more, data] : {std::tuple{"packs", packed, "texts.h5"}, {"dpo", std::string(), "pairs.h5"}}) {
    const auto run = [&](const std::string& variant, const std::string& training) {
      return continued(name + variant, "max_steps: 6, " + training, more, data);
    };
    const std::string base(name);
    expect_done(train(run("-large", "per_device_batch_size: 8")));
    expect_done(train(run("-small", "per_device_batch_size: 2, gradient_accumulation_steps: 4")));
    expect_near(base + "-small", base + "-large", 1e-5);
    expect_done(train(run("-again", "per_device_batch_size: 8, gradient_checkpointing: true")));
    EXPECT_EQ(weights(base + "-again"), weights(base + "-large"));
    const auto two = command("sartor-train", run("-two", "per_device_batch_size: 4"));
    for (const auto& rank : on_ranks(2, two)) expect_done(rank);
    expect_near(base + "-two", base + "-large", 1e-5);
    for (const char* part : {"train", "validation"}) {
      const auto one = logged(base + "-large", part, "loss"), shared = logged(base + "-two", part, "loss");
      ASSERT_EQ(one.size(), shared.size());
      for (size_t i = 0; i < one.size(); i++) EXPECT_NEAR(one[i], shared[i], 1e-5 * std::abs(one[i]));
    }
  }
}

TEST_F(Finetune, KilledAndResumedEqualsUninterrupted) {
  expect_resumable(config("RUN", gpt2("0.2"), "max_steps: 9, per_device_batch_size: 3",
                          "packing: true\npack_length: 32\ncheckpoint: {every: 2, keep: 1}\n"));
}

TEST_F(Finetune, PreferencesWithAdaptersAreResumable) {
  make_base();
  expect_resumable(continued("RUN", "max_steps: 9, per_device_batch_size: 8", "checkpoint: {every: 2, keep: 1}\n",
                             "pairs.h5", ", lora: {rank: 2, dropout: 0.1}"));
  EXPECT_TRUE(std::filesystem::exists(path("killed/reference.h5")));
}

TEST_F(Finetune, TheReferenceOfAResumedRunIsTheFirstOne) {
  make_base();
  const auto dpo = continued("dpo", "max_steps: 4, per_device_batch_size: 8", "checkpoint: {every: 1}\n", "pairs.h5");
  expect_done(train(dpo));
  const auto whole = weights("dpo");
  // Continues from the middle without the file.
  std::filesystem::remove_all(path("dpo/checkpoints/step-000004"));
  std::filesystem::remove_all(path("dpo/checkpoints/step-000003"));
  std::filesystem::remove(path("dpo/results.json"));
  std::filesystem::remove(path("dpo/reference.h5"));
  expect_done(train(dpo, {"--resume"}));
  EXPECT_EQ(weights("dpo"), whole);
}

// From a table of prompts and copies to a model that has learned which copy is preferred.
class FinetuneFromTables : public TrainedModels {
 protected:
  FinetuneFromTables() {
    std::filesystem::create_directories(path("词"));
    text::write_tokenizer(path("词"), text::generator_tokenizer(true).spec(), 64);
    std::string rows = "prompt,copy,other,weight\n";
    for (int i = 0; i < 40; i++) rows += fmt::format("good 好 {},好好坏,坏好,2\n", i);
    for (int i = 0; i < 40; i++) rows += fmt::format("good 好 {},坏好,好好坏,0.25\n", i);
    write("copies.csv", rows + "坏\xff,好,坏,1\n");
  }
  void tokenize(const std::string& name, const std::string& generation) {
    expect_done(
        train("task: tokenize\ndata: {sources: [{path: FOLDER/copies.csv}], text: '{prompt}', pair: '{copy}', "
              "label: {kind: none}}\ntokenizer: FOLDER/词\nsplit: {method: random, test: 0.2, validation: 0.2}\n"
              "generation: " +
              generation + "\noutput: FOLDER/" + name + ".h5\n"));
  }
  static std::string finetune(const std::string& run, const std::string& model, const std::string& data) {
    return "task: finetune\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/" + data + ".h5}\nmodel: " + model +
           "\ntraining: {num_train_epochs: 30, per_device_batch_size: 8, learning_rate: 0.01}\noutput: FOLDER/" + run +
           "\n";
  }
};

TEST_F(FinetuneFromTables, WeightsAndChatsTravelFromTheTableToTheModel) {
  tokenize("pairs", "{chat: chatml, system: be, weight: weight}");
  expect_done(train(finetune("run",
                             "{tokenizer: FOLDER/词, shape: {hidden_size: 16, num_hidden_layers: 1, "
                             "num_attention_heads: 2, max_position_embeddings: 64}}",
                             "pairs")));
  const auto results = json::parse(read("run/results.json"));
  // At the optimum 0.35 nats per row, 0.09 per token: the preferred copies have 8 of 9 parts of the weight.
  EXPECT_LT(results["test"]["loss"], 0.3);
  const auto input = hf::read_text_input(path("run/model"));
  EXPECT_EQ(input->chat, "chatml");
  EXPECT_EQ(input->system, "be");
  EXPECT_EQ(input->pair, "{copy}");
  EXPECT_EQ(json::parse(read("run/model/config.json"))["eos_token_id"], text::im_end);

  tokenize("preferences", "{chat: chatml, system: be, rejected: '{other}'}");
  expect_done(train(finetune("dpo", "{path: FOLDER/run/model}", "preferences")));
  EXPECT_TRUE(json::parse(read("dpo/results.json"))["test"]["accuracy"].is_number());
}

class FinetuneErrors : public FinetuneOf<Refusals> {};

TEST_F(FinetuneErrors, AreOneLine) {
  const auto train_refused = [&](const std::string& yaml, const std::string& said) {
    refused("sartor-train", yaml, said);
  };
  const std::string steps = "max_steps: 1";
  train_refused(new_model("run", steps, "objective: dpo\n"),
                "objective is dpo, but .*texts.h5 has no preferences .content: prompt_completion");
  const auto on_pairs = [&](const std::string& more) {
    return config("run", fmt::format("{{tokenizer: FOLDER/词, shape: {}}}", shape), steps, more, "pairs.h5");
  };
  train_refused(on_pairs("objective: nll\n"), "objective is nll, but .*pairs.h5 has preferences, expected dpo or ipo");
  train_refused(on_pairs("packing: true\n"), "packing is for objective nll, .*pairs.h5 has preferences");
  train_refused(new_model("run", steps, "label_smoothing: 0.1\n"), "label_smoothing are for preferences");
  train_refused(new_model("run", steps, "reference: FOLDER/词\n"), "reference and label_smoothing are for preferences");
  train_refused(new_model("run", steps, "objective: ipo\nlabel_smoothing: 0.1\n"),
                "label_smoothing is for objective dpo");
  train_refused(new_model("run", steps, "pack_length: 32\n"), "pack_length is set, but packing is false");
  train_refused(new_model("run", steps, "packing: true\npack_length: 9\n"),
                "texts.h5 has rows of up to 1[0-9] tokens, pack_length is 9");
  train_refused(new_model("run", steps, "beta: 0\n"), "beta");
  train_refused(config("run", "{tokenizer: FOLDER/词, shape: {model_type: bert}}", steps), "model_type.*bert.*gpt2");
  train_refused(config("run", "{tokenizer: FOLDER/词, lora: {rank: 2}}", steps), "lora requires path");
  train_refused(config("run", "{tokenizer: FOLDER/词, path: FOLDER/词}", steps), "give either path .* or tokenizer");
  train_refused(config("run", "{path: FOLDER/词}", steps), "config.json");
  train_refused(config("run", "{tokenizer: FOLDER/词, shape: {hidden_size: 16, num_attention_heads: 3}}", steps),
                "model.shape: n_embd 16 is not a multiple of n_head 3");
  train_refused(config("run",
                       "{tokenizer: FOLDER/词, shape: {hidden_size: 16, num_attention_heads: 2, "
                       "max_position_embeddings: 5}}",
                       steps),
                "texts.h5 has rows of up to 1[0-9] tokens, the model takes 5");
}

}  // namespace
}  // namespace sartor::testing
