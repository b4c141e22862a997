#include "models/bert/config.h"

#include <gmock/gmock.h>

#include "models/bert/families.h"
#include "models/bert/parameters.h"
#include "support/folder_test.h"

namespace sartor::bert {
namespace {

using hf::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

BertConfig parse(const std::string& fields, const std::string& type = "bert") {
  return parse_config(Json::parse("{\"model_type\": \"" + type + "\"" + (fields.empty() ? "" : ", ") + fields + "}"),
                      "config.json");
}
void refused(const std::string& fields, const std::string& why, const std::string& type = "bert") {
  EXPECT_THAT([&] { parse(fields, type); }, ThrowsMessage<std::invalid_argument>(HasSubstr("config.json: " + why)))
      << fields;
}

TEST(BertConfig, HasTransformersDefaults) {
  const auto bert = parse("");
  EXPECT_EQ(bert.vocab_size, 30522);
  EXPECT_EQ(bert.head_size(), 64);
  EXPECT_EQ(bert.layer_norm_eps, 1e-12);
  EXPECT_EQ(bert.pad_token_id, 0);
  EXPECT_EQ(bert.longest_sequence(), 512);
  EXPECT_THAT(bert.labels, ElementsAre("LABEL_0", "LABEL_1"));
  EXPECT_EQ(bert.problem_or_default(), transformer::Problem::single_label);
  const auto roberta = parse("\"max_position_embeddings\": 514", "roberta");
  EXPECT_EQ(roberta.vocab_size, 50265);
  EXPECT_EQ(roberta.pad_token_id, 1);
  EXPECT_EQ(roberta.first_position(), 2);
  EXPECT_EQ(roberta.longest_sequence(), 512);
  EXPECT_EQ(parse("\"num_labels\": 1").problem_or_default(), transformer::Problem::regression);
}

TEST(BertConfig, TakesEveryFieldThatMatters) {
  const auto config = parse(R"("vocab_size": 11, "hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 13, "max_position_embeddings": 14, "type_vocab_size": 5, "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0.25, "classifier_dropout": 0.5, "initializer_range": 0.01,
    "layer_norm_eps": 1e-5, "pad_token_id": null, "tie_word_embeddings": false, "problem_type": "multi_label_classification",
    "id2label": {"1": "好", "0": "坏", "2": "x"}, "label2id": {"坏": 0, "好": "1", "x": 2}, "architectures": ["BertModel"])");
  EXPECT_EQ(config.vocab_size, 11);
  EXPECT_EQ(config.hidden_size, 12);
  EXPECT_EQ(config.num_hidden_layers, 3);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.intermediate_size, 13);
  EXPECT_EQ(config.max_position_embeddings, 14);
  EXPECT_EQ(config.type_vocab_size, 5);
  EXPECT_EQ(config.hidden_act, transformer::Activation::gelu_tanh);
  EXPECT_EQ(config.hidden_dropout_prob, 0);
  EXPECT_EQ(config.attention_probs_dropout_prob, 0.25);
  EXPECT_EQ(config.classifier_dropout, 0.5);
  EXPECT_EQ(config.initializer_range, 0.01);
  EXPECT_EQ(config.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.pad_token_id, std::nullopt);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_EQ(config.problem, transformer::Problem::multi_label);
  EXPECT_THAT(config.labels, ElementsAre("坏", "好", "x"));
  EXPECT_THAT(config.architectures, ElementsAre("BertModel"));
  EXPECT_THAT(config.unknown, IsEmpty());
}

TEST(BertConfig, RefusesByNameWhatItCannotHonour) {
  refused(R"("position_embedding_type": "relative_key")",
          "position_embedding_type is \"relative_key\", expected \"absolute\"");
  refused(R"("hidden_act": "gelu_10")", "hidden_act is gelu_10, expected one of gelu,");
  refused(R"("is_decoder": true)", "is_decoder is true");
  refused(R"("add_cross_attention": true)", "add_cross_attention is true");
  refused(R"("pruned_heads": {"0": [1]})", "pruned_heads is");
  refused(R"("quantization_config": {"bits": 4})", "quantization_config is");
  refused(R"("problem_type": "ranking")", "problem_type is ranking");
  refused(R"("hidden_size": 10, "num_attention_heads": 3)",
          "hidden_size 10 is not a multiple of num_attention_heads 3");
  refused(R"("hidden_size": 0)", "hidden_size is 0, expected 1 to 65536");
  refused(R"("vocab_size": 18446744073709551615)", "vocab_size is 18446744073709551615");
  refused(R"("hidden_size": "12")", "hidden_size: found a string, expected an integer");
  refused(R"("hidden_size": 12.0)", "hidden_size: found a number, expected an integer");
  refused(R"("hidden_dropout_prob": 1)", "hidden_dropout_prob is 1, expected 0 to 0.999");
  refused(R"("hidden_dropout_prob": true)", "hidden_dropout_prob: found true or false");
  refused(R"("tie_word_embeddings": 1)", "tie_word_embeddings: found an integer");
  refused(R"("pad_token_id": 30522)", "pad_token_id is 30522");
  refused(R"("pad_token_id": null)", "pad_token_id is absent", "roberta");
  refused(R"("max_position_embeddings": 2)", "max_position_embeddings is 2, positions begin at 2", "roberta");
  refused("", "model_type is gpt2, expected bert, distilbert or electra", "gpt2");
  refused(R"("dim": 0)", "dim is 0, expected 1 to 65536", "distilbert");
  refused(R"("dim": 10, "n_heads": 3)", "dim 10 is not a multiple of n_heads 3", "distilbert");
  refused(R"("activation": "gelu_10")", "activation is gelu_10", "distilbert");
  refused(R"("n_layers": "6")", "n_layers: found a string", "distilbert");
  refused(R"("embedding_size": 0)", "embedding_size is 0", "electra");
  refused(R"("embedding_size": 128)", "embedding_size is 128, expected null");
  refused(R"("id2label": {"0": "a", "2": "b"})", "id2label: \"2\" is not a unique id from 0 to 1");
  refused(R"("id2label": {"0": "a", "00": "b"})", "id2label: \"00\" is not a unique id");
  refused(R"("id2label": {"": "a"})", "id2label: \"\" is not a unique id");
  refused(R"("id2label": {"99999999999999999999": "a"})", "id2label: \"99999999999999999999\" is not a unique id");
  refused(R"("id2label": {"0": []})", "id2label: 0: found an array");
  refused(R"("id2label": {})", "id2label is empty");
  refused(R"("id2label": {"0": "a"}, "num_labels": 2)", "num_labels is 2, but id2label has 1 labels");
  refused(R"("id2label": {"0": "a"}, "label2id": {"b": 0})", "label2id maps b to 0");
  refused(R"("architectures": [1])", "architectures: found an integer");
  EXPECT_THAT([] { parse_config(Json::parse("[]"), "c"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("c: found an array")));
  EXPECT_THAT([] { parse_config(Json::parse("{}"), "c"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("c: has no model_type")));
}

TEST(BertConfig, KeepsWhatMeansNothingHere) {
  const auto config =
      parse(R"("transformers_version": "4.8.2", "use_cache": true, "bos_token_id": 7, "my_field": [1])");
  EXPECT_THAT(config.unknown, ElementsAre("my_field"));
  const auto json = to_json(config, Head::none);
  EXPECT_EQ(json["bos_token_id"], 7);
  EXPECT_EQ(json["my_field"], Json::parse("[1]"));
}

TEST(BertConfig, KnowsTheFieldsOfEachFamily) {
  const auto distilbert =
      parse(R"("vocab_size": 11, "dim": 12, "n_layers": 3, "n_heads": 4, "hidden_dim": 13, "dropout": 0.25,
    "attention_dropout": 0.5, "seq_classif_dropout": 0.125, "activation": "relu", "qa_dropout": 0.1,
    "sinusoidal_pos_embds": false, "tie_weights_": true, "layer_norm_eps": 1e-5)",
            "distilbert");
  EXPECT_EQ(distilbert.hidden_size, 12);
  EXPECT_EQ(distilbert.num_hidden_layers, 3);
  EXPECT_EQ(distilbert.num_attention_heads, 4);
  EXPECT_EQ(distilbert.intermediate_size, 13);
  EXPECT_EQ(distilbert.hidden_dropout_prob, 0.25);
  EXPECT_EQ(distilbert.attention_probs_dropout_prob, 0.5);
  EXPECT_EQ(distilbert.classifier_dropout, 0.125);
  EXPECT_EQ(distilbert.hidden_act, transformer::Activation::relu);
  EXPECT_EQ(distilbert.layer_norm_eps, 1e-12) << "always";
  EXPECT_THAT(distilbert.unknown, ElementsAre("layer_norm_eps", "tie_weights_"));
  const auto json = to_json(distilbert, Head::classification);
  EXPECT_EQ(json["architectures"][0], "DistilBertForSequenceClassification");
  EXPECT_EQ(json["dim"], 12);
  EXPECT_EQ(json["seq_classif_dropout"], 0.125);
  for (const char* none : {"hidden_size", "type_vocab_size", "position_embedding_type", "classifier_dropout"}) {
    EXPECT_FALSE(json.contains(none)) << none;
  }
  EXPECT_EQ(to_json(parse_config(json, "again"), Head::classification), json);
  EXPECT_EQ(parse("", "distilbert").num_hidden_layers, 6);
  EXPECT_EQ(parse("", "distilbert").classifier_dropout, 0.2);

  const auto electra = parse(R"("hidden_size": 12, "num_attention_heads": 4, "summary_type": "first")", "electra");
  EXPECT_EQ(electra.embedding_width(), 128);
  EXPECT_EQ(electra.type_vocab_size, 2);
  EXPECT_THAT(electra.unknown, IsEmpty());
  const auto written = to_json(electra, Head::none);
  EXPECT_EQ(written["embedding_size"], 128);
  EXPECT_EQ(to_json(parse_config(written, "again"), Head::none), written);
  EXPECT_EQ(parse("", "electra").hidden_size, 256);
}

TEST(BertConfig, ComesBackFromWhatItWrites) {
  auto config =
      parse(R"("hidden_size": 12, "num_attention_heads": 4, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-7,
    "id2label": {"0": "坏", "1": "好", "2": "中"}, "pad_token_id": null, "tie_word_embeddings": false, "classifier_dropout": 0.1)");
  config.problem = transformer::Problem::multi_label;
  const auto json = to_json(config, Head::classification);
  EXPECT_EQ(json["architectures"], Json::parse(R"(["BertForSequenceClassification"])"));
  EXPECT_EQ(json["label2id"]["好"], 1);
  const auto again = parse_config(json, "x");
  EXPECT_EQ(to_json(again, Head::classification), json);
  EXPECT_EQ(again.labels, config.labels);
  EXPECT_EQ(again.problem, transformer::Problem::multi_label);
  EXPECT_EQ(again.pad_token_id, std::nullopt);
  EXPECT_EQ(again.hidden_act, transformer::Activation::gelu_tanh);
  EXPECT_EQ(to_json(parse("", "xlm-roberta"), Head::masked_lm)["architectures"][0], "XLMRobertaForMaskedLM");
}

TEST(BertLabels, AreMatchedByName) {
  const auto labelled = [](const std::vector<std::string>& labels,
                           transformer::Problem problem = transformer::Problem::single_label) {
    BertConfig config;
    config.labels = labels;
    config.problem = problem;
    return config;
  };
  const auto base = labelled({"正面", "neg", "中"});
  EXPECT_EQ(output_rows(base, labelled({"neg", "中", "正面"})), (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(output_rows(base, labelled({"neg", "中", "正面"}, transformer::Problem::multi_label)),
            (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(output_rows(base, labelled({"neg", "中", "pos"})), std::nullopt);
  EXPECT_EQ(output_rows(base, labelled({"neg", "正面"})), std::nullopt);
  EXPECT_EQ(output_rows(labelled({"a", "a"}), labelled({"a", "b"})), std::nullopt);
  const auto number = labelled({"LABEL_0"}, transformer::Problem::regression);
  EXPECT_EQ(output_rows(labelled({"score"}, transformer::Problem::regression), number), (std::vector<int64_t>{0}));
  EXPECT_EQ(output_rows(labelled({"score"}, transformer::Problem::multi_label), number), std::nullopt);
}

TEST(BertNames, AreThoseOfTheFamily) {
  const auto distilbert = parse("\"n_layers\": 1", "distilbert"),
             electra = parse("\"num_hidden_layers\": 1", "electra");
  EXPECT_EQ(canonical_name("transformer.layer.0.ffn.lin1.bias", distilbert, Head::classification),
            "distilbert.transformer.layer.0.ffn.lin1.bias");
  EXPECT_EQ(canonical_name("distilbert.embeddings.LayerNorm.gamma", distilbert, Head::none),
            "embeddings.LayerNorm.weight");
  EXPECT_EQ(canonical_name("embeddings_project.weight", electra, Head::masked_lm), "electra.embeddings_project.weight");
  EXPECT_EQ(canonical_name("discriminator_predictions.dense.bias", electra, Head::none),
            "discriminator_predictions.dense.bias");
  EXPECT_EQ(parameters(distilbert, Head::none).size(), 4 + 16);
  EXPECT_EQ(parameters(distilbert, Head::classification).size(), 4 + 16 + 4);
  EXPECT_EQ(parameters(electra, Head::none).size(), 5 + 2 + 16);
  EXPECT_EQ(parameters(parse("\"embedding_size\": 256", "electra"), Head::none).size(), 5 + 12 * 16);

  EXPECT_EQ(depth_of("distilbert.embeddings.LayerNorm.bias", distilbert.family(), 6), 0);
  EXPECT_EQ(depth_of("electra.embeddings_project.bias", electra.family(), 6), 0);
  EXPECT_EQ(depth_of("distilbert.transformer.layer.5.ffn.lin1.bias", distilbert.family(), 6), 6);
  EXPECT_EQ(depth_of("pre_classifier.bias", distilbert.family(), 6), 7);
  EXPECT_EQ(depth_of("bert.pooler.dense.bias", BertConfig().family(), 6), 7);
}

TEST(BertNames, FollowTheHead) {
  const auto bert = parse("\"num_hidden_layers\": 1"), roberta = parse("", "roberta");
  const auto name = [&](std::string_view from, Head head) { return canonical_name(from, bert, head); };
  EXPECT_EQ(name("embeddings.LayerNorm.gamma", Head::none), "embeddings.LayerNorm.weight");
  EXPECT_EQ(name("bert.embeddings.LayerNorm.beta", Head::none), "embeddings.LayerNorm.bias");
  EXPECT_EQ(name("encoder.layer.0.output.dense.bias", Head::classification), "bert.encoder.layer.0.output.dense.bias");
  EXPECT_EQ(name("cls.predictions.transform.LayerNorm.gamma", Head::masked_lm),
            "cls.predictions.transform.LayerNorm.weight");
  EXPECT_EQ(name("classifier.bias", Head::classification), "classifier.bias");
  EXPECT_EQ(name("other.gamma", Head::none), "other.gamma");
  EXPECT_EQ(canonical_name("roberta.pooler.dense.bias", roberta, Head::none), "pooler.dense.bias");
  EXPECT_EQ(parameters(bert, Head::none).size(), 5 + 16 + 2);
  EXPECT_EQ(parameters(bert, Head::classification).size(), 5 + 16 + 4);
  EXPECT_EQ(parameters(bert, Head::masked_lm).size(), 5 + 16 + 5);
}

}  // namespace
}  // namespace sartor::bert
