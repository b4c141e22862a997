#include "models/gpt/config.h"

#include <gmock/gmock.h>

#include "models/gpt/families.h"
#include "models/gpt/lora_config.h"
#include "models/gpt/parameters.h"
#include "support/folder_test.h"

namespace sartor::gpt {
namespace {

using hf::Json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::ThrowsMessage;

GptConfig parse(const std::string& type, const std::string& fields = "") {
  return parse_config(Json::parse("{\"model_type\": \"" + type + "\"" + (fields.empty() ? "" : ", ") + fields + "}"),
                      "config.json");
}
// `why` is the beginning of the message after the name of the file.
void refused(const std::string& type, const std::string& fields, const std::string& why) {
  EXPECT_THAT([&] { parse(type, fields); }, ThrowsMessage<std::invalid_argument>(::testing::AllOf(
                                                ::testing::StartsWith("config.json: " + why), Not(HasSubstr("\n")))))
      << fields;
}

TEST(GptConfig, HasTransformersDefaults) {
  const auto gpt2 = parse("gpt2");
  EXPECT_EQ(gpt2.vocab_size, 50257);
  EXPECT_EQ(gpt2.intermediate_size, 4 * 768);
  EXPECT_EQ(gpt2.hidden_act_name, "gelu_new");
  EXPECT_EQ(gpt2.norm_eps, 1e-5);
  EXPECT_EQ(gpt2.embedding_dropout, 0.1);
  EXPECT_TRUE(gpt2.tie_word_embeddings);
  EXPECT_THAT(gpt2.end_tokens(), ElementsAre(50256));
  EXPECT_EQ(to_json(gpt2), to_json(GptConfig{.bos_token_id = 50256, .eos_token_ids = {50256}}));
  const auto llama = parse("llama");
  EXPECT_EQ(llama.num_key_value_heads, 32);
  EXPECT_EQ(llama.head_dim, 128);
  EXPECT_EQ(llama.rotary.theta, 10'000);
  EXPECT_EQ(llama.attention_dropout, 0);
  EXPECT_FALSE(llama.query_key_value_bias || llama.attention_output_bias || llama.mlp_bias);
  EXPECT_FALSE(llama.tie_word_embeddings);
  EXPECT_THAT(llama.end_tokens(), ElementsAre(2));
  const auto qwen2 = parse("qwen2");
  EXPECT_TRUE(qwen2.query_key_value_bias);
  EXPECT_FALSE(qwen2.attention_output_bias || qwen2.mlp_bias);
  EXPECT_THAT(qwen2.end_tokens(), IsEmpty());
  EXPECT_EQ(parse("qwen3", R"("hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 8)").head_dim,
            128);
  EXPECT_EQ(parse("mistral", R"("sliding_window": null)").num_key_value_heads, 8);
  EXPECT_EQ(parse("mistral", R"("sliding_window": null, "num_key_value_heads": null)").num_key_value_heads, 32);
}

TEST(GptConfig, TakesEveryFieldThatMatters) {
  const auto gpt2 = parse("gpt2", R"("n_embd": 12, "n_layer": 3, "n_head": 4, "n_inner": 13, "n_positions": 14,
    "n_ctx": 14, "activation_function": "relu", "resid_pdrop": 0, "embd_pdrop": 0.25, "attn_pdrop": 0.5,
    "layer_norm_epsilon": 1e-3, "initializer_range": 0.01, "scale_attn_weights": false,
    "scale_attn_by_inverse_layer_idx": true, "reorder_and_upcast_attn": true, "tie_word_embeddings": false,
    "bos_token_id": 5, "eos_token_id": [6, 7], "pad_token_id": 8, "vocab_size": 9)");
  EXPECT_EQ(gpt2.head_dim, 3);
  EXPECT_EQ(gpt2.num_hidden_layers, 3);
  EXPECT_EQ(gpt2.intermediate_size, 13);
  EXPECT_EQ(gpt2.longest_sequence(), 14);
  EXPECT_EQ(gpt2.hidden_act, transformer::Activation::relu);
  EXPECT_EQ(gpt2.hidden_dropout, 0);
  EXPECT_EQ(gpt2.embedding_dropout, 0.25);
  EXPECT_EQ(gpt2.attention_dropout, 0.5);
  EXPECT_EQ(gpt2.norm_eps, 1e-3);
  EXPECT_FALSE(gpt2.scale_attention);
  EXPECT_TRUE(gpt2.scale_attention_by_layer);
  EXPECT_FALSE(gpt2.tie_word_embeddings);
  EXPECT_THAT(gpt2.end_tokens(), ElementsAre(6, 7));
  EXPECT_THAT(gpt2.unknown, IsEmpty());
  const auto llama = parse("llama", R"("hidden_size": 12, "head_dim": 8, "num_attention_heads": 5,
    "num_key_value_heads": 1, "attention_bias": true, "mlp_bias": true, "rms_norm_eps": 1e-5, "rope_theta": 500000,
    "rope_scaling": null, "pretraining_tp": 1, "attention_dropout": 0.1, "rope_interleaved": false)");
  EXPECT_EQ(llama.query_size(), 40);
  EXPECT_EQ(llama.key_value_size(), 8);
  EXPECT_TRUE(llama.query_key_value_bias && llama.attention_output_bias && llama.mlp_bias);
  EXPECT_EQ(llama.rotary.theta, 500'000);
  EXPECT_EQ(llama.attention_dropout, 0.1);
  EXPECT_THAT(llama.unknown, IsEmpty());
}

TEST(GptConfig, RefusesByNameWhatItCannotHonour) {
  for (const char* type : {"gemma", "phi3", "bert", "GPT2", "qwen2_moe"}) {
    refused(type, "", std::string("model_type is ") + type + ", expected gpt2, llama, mistral, qwen2 or qwen3");
  }
  refused("gpt2", R"("add_cross_attention": true)", "add_cross_attention is true, expected false");
  refused("gpt2", R"("n_embd": 10, "n_head": 3)", "n_embd 10 is not a multiple of n_head 3");
  refused("gpt2", R"("n_embd": 24, "n_head": 3, "hidden_size": 48)", "hidden_size is 48, expected 24");
  refused("gpt2", R"("activation_function": "gelu_10")", "activation_function is gelu_10, expected one of gelu,");
  refused("gpt2", R"("resid_pdrop": 1)", "resid_pdrop is 1, expected 0 to 0.999");
  refused("gpt2", R"("n_layer": "12")", "n_layer: found a string, expected an integer");
  refused("gpt2", R"("n_positions": 0)", "n_positions is 0, expected 1 to");
  refused("gpt2", R"("eos_token_id": "x")", "eos_token_id: found a string, expected a token id or an array of them");
  refused("gpt2", R"("eos_token_id": [1, -2])", "eos_token_id is -2, expected 0 or more");
  refused("gpt2", R"("eos_token_id": 18446744073709551615)", "eos_token_id is 18446744073709551615, expected less");
  refused("llama", R"("pretraining_tp": 2)", "pretraining_tp is 2, expected 1");
  refused("llama", R"("hidden_size": 10, "num_attention_heads": 3)",
          "hidden_size 10 is not a multiple of num_attention_heads 3");
  refused("llama", R"("num_attention_heads": 4, "num_key_value_heads": 3)",
          "num_attention_heads 4 is not a multiple of num_key_value_heads 3");
  refused("llama", R"("head_dim": 7)", "head_dim is 7, expected an even number");
  refused("llama", R"("pad_token_id": 32000)", "pad_token_id is 32000, expected -1 to 31999");
  refused("llama", R"("quantization_config": {"bits": 4})", "quantization_config is {\"bits\":4}, expected null");
  refused("llama", R"("hidden_act": 1)", "hidden_act: found an integer, expected a string");
  refused("llama", R"("vocab_size": 18446744073709551615)", "vocab_size is 18446744073709551615, expected 1 to");
  refused("llama", R"("tie_word_embeddings": "no")", "tie_word_embeddings: found a string, expected true or false");
  refused("llama", R"("architectures": "LlamaForCausalLM")", "architectures: found a string, expected an array");
  EXPECT_THAT([] { parse_config(Json::parse("[]"), "c"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("c: found an array")));
  EXPECT_THAT([] { parse_config(Json::parse("{}"), "c"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("c: has no model_type")));
}

TEST(GptConfig, RefusesSlidingWindowsThatAreInUse) {
  const std::string used = "sliding_window is 4096, expected null or at least the model's 32768 positions";
  const std::string positions = R"("max_position_embeddings": 32768)";
  refused("mistral", positions, used);
  refused("mistral", positions + R"(, "sliding_window": 4096)", used);
  refused("mistral", positions + R"(, "sliding_window": 4096, "use_sliding_window": false)", used);
  parse("mistral", positions + R"(, "sliding_window": null)");
  parse("mistral", positions + R"(, "sliding_window": 32768)");
  refused("llama", positions + R"(, "sliding_window": 4096)", used);
  for (const char* type : {"qwen2", "qwen3"}) {
    parse(type);
    parse(type, R"("sliding_window": 4096, "use_sliding_window": false, "max_window_layers": 0)");
    parse(type, R"("sliding_window": 4096, "use_sliding_window": true, "max_window_layers": 32)");
    parse(type, R"("use_sliding_window": true, "max_window_layers": 2, "sliding_window": 32768)");
    parse(type, R"("num_hidden_layers": 2, "layer_types": ["full_attention", "full_attention"])");
    refused(type, R"("use_sliding_window": true)", used);
    refused(type, R"("use_sliding_window": true, "max_window_layers": 31)", used);
    refused(type, R"("use_sliding_window": true, "num_hidden_layers": 2,
                     "layer_types": ["full_attention", "sliding_attention"])",
            used);
    refused(type, R"("num_hidden_layers": 2, "layer_types": ["full_attention", "sliding_attention"])",
            "layer_types has sliding_attention, but there is no sliding window");
    refused(type, R"("num_hidden_layers": 1, "layer_types": ["linear_attention"])",
            "layer_types has linear_attention, expected full_attention");
    refused(type, R"("num_hidden_layers": 1, "layer_types": ["full_attention", "full_attention"])",
            "layer_types has 2 layers, expected num_hidden_layers, 1");
  }
}

TEST(GptRotaryConfig, IsReadFromEachOfThreeFields) {
  const auto theta = [](const std::string& fields) { return parse("llama", fields).rotary.theta; };
  EXPECT_EQ(theta(R"("rope_theta": 500000)"), 500'000);
  EXPECT_EQ(theta(R"("rope_parameters": {"rope_type": "default", "rope_theta": 1000000})"), 1'000'000);
  EXPECT_EQ(theta(R"("rope_parameters": {"rope_theta": 20000})"), 20'000);
  EXPECT_EQ(theta(R"("rope_theta": 30000, "rope_scaling": {"type": "linear", "factor": 2})"), 30'000);
  EXPECT_EQ(theta(R"("rope_theta": 30000, "rope_parameters": {"rope_type": "linear", "factor": 2})"), 30'000);
  EXPECT_EQ(theta(R"("rope_theta": 30000, "rope_scaling": {})"), 30'000);
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    for (const char* type : {"type", "rope_type"}) {
      const auto config = parse("llama", R"("rope_theta": 500000, "max_position_embeddings": 131072, ")" +
                                             std::string(field) + R"(": {")" + type + R"(": "llama3", "factor": 32.0,
          "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})");
      EXPECT_EQ(config.rotary.type, RotaryType::llama3);
      EXPECT_EQ(config.rotary.theta, 500'000);
      EXPECT_EQ(config.rotary.factor, 32);
      EXPECT_EQ(config.rotary.original_max_position_embeddings, 8192);
      EXPECT_EQ(config.longest_sequence(), 131072);
    }
  }
  const auto yarn = parse("qwen2", R"("max_position_embeddings": 32768,
    "rope_scaling": {"type": "yarn", "factor": 4.0, "beta_fast": 0, "mscale": null})");
  EXPECT_EQ(yarn.rotary.original_max_position_embeddings, 32768);
  EXPECT_EQ(yarn.rotary.beta_fast, 32) << "0 means the default";
  EXPECT_EQ(yarn.rotary.mscale, std::nullopt);
  EXPECT_EQ(yarn.longest_sequence(), 131072);
  EXPECT_EQ(parse("llama", R"("rope_scaling": {"type": "dynamic", "factor": 2.5})").longest_sequence(), 5120);
}

TEST(GptRotaryConfig, RefusesWhatItDoesNotKnow) {
  const auto scaling = [](const std::string& fields, const std::string& why) {
    refused("llama", "\"rope_scaling\": {" + fields + "}", "rope_scaling: " + why);
    refused("llama", "\"rope_parameters\": {" + fields + "}", "rope_parameters: " + why);
  };
  scaling(R"("type": "longrope", "factor": 2)", "type is longrope, expected one of default, linear, dynamic");
  scaling(R"("rope_type": "su")", "rope_type is su, expected one of");
  scaling(R"("rope_type": "linear")", "has no factor");
  scaling(R"("rope_type": "linear", "factor": 0.5)", "factor is 0.5, expected 1 to");
  scaling(R"("rope_type": "linear", "factor": "2")", "factor: found a string, expected a number");
  scaling(R"("rope_type": "llama3", "factor": 2)", "has no low_freq_factor");
  scaling(R"("rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4)",
          "high_freq_factor is 4, expected more than 4");
  scaling(R"("rope_type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 2)",
          "beta_fast is 1, expected at least beta_slow, 2");
  scaling(R"("rope_type": "yarn", "factor": 2, "rope_theta": 1)", "rope_theta is 1, expected more than 1 for yarn");
  scaling(R"("rope_type": "default", "mrope_section": [1, 2])", "mrope_section is not supported");
  scaling(R"("full_attention": {"rope_type": "default"})", "full_attention is not supported");
  scaling(R"("rope_type": "default", "partial_rotary_factor": 0.5)", "partial_rotary_factor is 0.5, expected 1.0");
  refused("llama", R"("partial_rotary_factor": 0.5)", "partial_rotary_factor is 0.5, expected 1.0");
  refused("llama", R"("rope_interleaved": true)", "rope_interleaved is true, expected false");
  refused("llama", R"("rope_theta": 0)", "rope_theta is 0, expected 1 to");
  refused("llama", R"("rope_scaling": [2])", "rope_scaling: found an array, expected an object");
  refused("llama", R"("head_dim": 2, "rope_scaling": {"type": "dynamic", "factor": 2})",
          "head_dim is 2, expected at least 4");
  refused("llama", R"("rope_theta": 10000, "rope_parameters": {"rope_theta": 500000})",
          "rope_parameters: rope_theta is 500000, but 10000 outside of it");
  refused("llama", R"("rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_theta": 10000})",
          "rope_scaling and rope_parameters differ");
}

TEST(GptConfig, ComesBackFromWhatItWrites) {
  const std::vector<std::pair<std::string, std::string>> configs = {
      {"gpt2", R"("n_inner": 17, "scale_attn_weights": false, "attn_pdrop": 0.2, "eos_token_id": [3, 4])"},
      {"llama", R"("rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                   "original_max_position_embeddings": 512}, "head_dim": 16, "mlp_bias": true)"},
      {"llama",
       R"("rope_scaling": {"type": "yarn", "factor": 8, "mscale": 0.7, "mscale_all_dim": 1.1, "truncate": false,
                   "attention_factor": 0.5})"},
      {"llama", R"("rope_scaling": {"type": "dynamic", "factor": 8}, "rope_theta": 20000, "pad_token_id": 5)"},
      {"qwen2", R"("use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 21)"},
      {"qwen3", R"("attention_bias": true, "num_hidden_layers": 1, "layer_types": ["full_attention"])"},
      {"mistral", R"("sliding_window": null, "rope_theta": 1000000.0, "eos_token_id": null)"}};
  for (const auto& [type, fields] : configs) {
    const auto config = parse(type, fields);
    const auto json = to_json(config);
    const auto again = parse_config(json, "again");
    EXPECT_EQ(to_json(again), json);
    EXPECT_EQ(again.rotary, config.rotary);
    EXPECT_EQ(json["architectures"][0], config.family().architecture);
    const auto before = Json::parse("{" + fields + "}");
    for (const auto& [name, value] : before.items()) {
      const bool rotary = name.starts_with("rope_");
      EXPECT_TRUE(rotary || json[name] == value) << name;
    }
  }
  const auto rope =
      to_json(parse("llama", R"("rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 7})"));
  EXPECT_EQ(rope["rope_theta"], 7);
  EXPECT_EQ(rope["rope_scaling"], Json::parse(R"({"rope_type": "linear", "factor": 2.0})")) << "transformers 4";
  EXPECT_EQ(rope["rope_parameters"]["rope_theta"], 7) << "transformers 5";
  EXPECT_FALSE(to_json(parse("gpt2")).contains("rope_theta"));
  EXPECT_FALSE(to_json(parse("gpt2")).contains("hidden_size"));
}

TEST(GptConfig, KeepsWhatMeansNothingHere) {
  const auto config = parse("llama", R"("torch_dtype": "bfloat16", "use_cache": true, "温度": 1, "attn_softcap": 3)");
  EXPECT_THAT(config.unknown, ElementsAre("attn_softcap", "温度"));
  const auto json = to_json(config);
  EXPECT_EQ(json["温度"], 1);
  EXPECT_EQ(json["use_cache"], true);
  EXPECT_EQ(json["dtype"], "float32");
  EXPECT_FALSE(json.contains("torch_dtype"));
}

class GptConfigFolder : public sartor::testing::FolderTest {};

TEST_F(GptConfigFolder, TakesTheEndTokensOfGeneration) {
  write("config.json", R"({"model_type": "qwen2", "eos_token_id": 151645})");
  EXPECT_THAT(read_config(folder_).end_tokens(), ElementsAre(151645));
  write("generation_config.json", R"({"eos_token_id": [151645, 151643], "top_p": 0.8})");
  EXPECT_THAT(read_config(folder_).end_tokens(), ElementsAre(151645, 151643));
  write("generation_config.json", R"({"top_p": 0.8})");
  EXPECT_THAT(read_config(folder_).end_tokens(), ElementsAre(151645));
  for (const auto& [bytes, why] :
       {std::pair{"[1]", "found an array"}, {R"({"eos_token_id": "a"})", "found a string"}}) {
    write("generation_config.json", bytes);
    EXPECT_THAT([&] { read_config(folder_); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(path("generation_config.json") + ": ")));
    EXPECT_THAT([&] { read_config(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  }
}

TEST(GptNames, AreThoseOfTheFamily) {
  const auto gpt2 = parse("gpt2", R"("n_layer": 2)"), qwen3 = parse("qwen3", R"("num_hidden_layers": 1)");
  EXPECT_EQ(canonical_name("h.1.attn.c_attn.weight", gpt2), "transformer.h.1.attn.c_attn.weight");
  EXPECT_EQ(canonical_name("transformer.ln_f.bias", gpt2), "transformer.ln_f.bias");
  EXPECT_EQ(canonical_name("lm_head.weight", gpt2), "lm_head.weight");
  EXPECT_EQ(canonical_name("head.weight", gpt2), "head.weight") << "not the layers, h.";
  EXPECT_EQ(canonical_name("layers.0.mlp.up_proj.weight", qwen3), "model.layers.0.mlp.up_proj.weight");
  EXPECT_EQ(parameters(gpt2).size(), 2 + 2 * 12 + 2);
  EXPECT_EQ(parameters(qwen3).size(), 1 + 11 + 1 + 1);
  EXPECT_EQ(depth_of("transformer.wpe.weight", gpt2), 0);
  EXPECT_EQ(depth_of("transformer.h.0.ln_1.weight", gpt2), 1);
  EXPECT_EQ(depth_of("transformer.h.1.mlp.c_fc.bias", gpt2), 2);
  EXPECT_EQ(depth_of("transformer.ln_f.weight", gpt2), 3);
  EXPECT_EQ(depth_of("model.embed_tokens.weight", qwen3), 0);
  EXPECT_EQ(depth_of("model.layers.0.self_attn.q_norm.weight", qwen3), 1);
  EXPECT_EQ(depth_of("lm_head.weight", qwen3), 2);
  EXPECT_TRUE(is_transposed("transformer.h.1.mlp.c_fc.weight", gpt2));
  EXPECT_FALSE(is_transposed("transformer.h.1.mlp.c_fc.bias", gpt2));
  EXPECT_FALSE(is_transposed("transformer.wte.weight", gpt2));
  EXPECT_FALSE(is_transposed("model.layers.0.mlp.up_proj.weight", qwen3));
}

TEST(GptLoraConfig, HasTheModulesOfPeftByDefault) {
  const auto gpt2 = parse("gpt2"), llama = parse("llama");
  EXPECT_THAT(LoraConfig().for_model(gpt2).modules, ElementsAre("c_attn"));
  EXPECT_THAT(LoraConfig().for_model(llama).modules, ElementsAre("q_proj", "v_proj"));
  const LoraConfig chosen({.rank = 3, .modules = {"down_proj"}});
  EXPECT_EQ(chosen.for_model(llama).rank, 3);
  EXPECT_THAT([&] { chosen.for_model(gpt2); },
              ThrowsMessage<std::invalid_argument>("modules has down_proj, expected suffixes of attn.c_attn, "
                                                   "attn.c_proj, mlp.c_fc, mlp.c_proj"));
  LoraConfig().check();
  chosen.check();
  LoraConfig({.modules = {"c_proj", "q_proj"}}).check();
  EXPECT_THAT([] { LoraConfig({.modules = {"query"}}).check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("modules has query, expected suffixes of attn.c_attn")));
}

}  // namespace
}  // namespace sartor::gpt
