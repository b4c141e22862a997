#include "text/chat_format.h"

#include "datasets/text_support.h"
#include "support/folder_test.h"
#include "text/chat_template.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::testing::ThrowsMessage;

const std::filesystem::path published = public_data / "chat-templates";

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::optional<std::string> text_or_null(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
}

class ChatFormats : public testing::FolderTest {
 protected:
  std::optional<Chat> chat_of(const std::string& jinja) {
    write("chat_template.jinja", jinja);
    return folder_chat(folder_);
  }

  std::string refusal() {
    try {
      folder_chat(folder_);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(ChatFormats, RenderWhatTransformersRenders) {
  const json golden = golden_json("chat.json");
  std::vector<std::optional<Chat>> chats;
  for (const json& each : golden["templates"]) {
    chats.emplace_back();
    const std::string name = each["name"];
    const bool is_published = each["text"].is_null();
    if (is_published && !std::filesystem::exists(published)) continue;
    chats.back() = chat_of(is_published ? contents(published / (name + ".jinja")) : each["text"].get<std::string>());
    ASSERT_TRUE(chats.back()) << name;
    EXPECT_EQ(name_of(chats.back()->format), each["format"]) << name;
    EXPECT_EQ(chats.back()->system, text_or_null(each["system"])) << name;
  }
  int64_t compared = 0;
  for (const json& each : golden["cases"]) {
    auto chat = chats[each["template"].get<size_t>()];
    if (!chat) continue;
    if (const auto system = text_or_null(each["system"])) chat->system = system;
    const std::string prompt = each["hex"].is_null() ? each["text"].get<std::string>() : from_hex(each["hex"]);
    const std::string answer = each["answer"];
    const ChatText rendered = render(*chat, prompt);
    EXPECT_EQ(unicode::replace_broken(rendered.prompt), each["prompt"]) << each;
    EXPECT_EQ(std::string(render_answer(*chat, answer)) + rendered.end, each["completion"]) << each;
    compared++;
  }
  EXPECT_GE(compared, 280);
}

TEST_F(ChatFormats, NoneIsThePromptItself) {
  const ChatText rendered = render({.system = "ignored"}, " 雨伞\xff\n");
  EXPECT_EQ(rendered.prompt, " 雨伞\xff\n");
  EXPECT_EQ(rendered.end, "");
  EXPECT_EQ(render_answer({}, " 好 \xff"), " 好 \xff");
}

TEST_F(ChatFormats, Llama3HasOneBeginningOfText) {
  const std::string begin = "<|begin_of_text|>";
  const json added = {{"id", 3000},      {"content", begin}, {"special", true},     {"normalized", false},
                      {"lstrip", false}, {"rstrip", false},  {"single_word", false}};
  const json processor = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", begin}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair",
       json::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "B"}, {"type_id", 0}}}}})},
      {"special_tokens", {{begin, {{"id", begin}, {"ids", {3000}}, {"tokens", {begin}}}}}}};
  json patch = {{"added_tokens", golden_json("tokenizer.json")["added_tokens"]}, {"post_processor", processor}};
  patch["added_tokens"].push_back(added);
  const Tokenizer tokenizer(golden_spec(patch));
  const auto begins = [&](ChatFormat format, bool special_tokens) {
    const auto prompt = render({.format = format}, "hello").prompt;
    return std::ranges::count(tokenizer.encode(prompt, {.special_tokens = special_tokens}).ids, 3000);
  };
  EXPECT_EQ(begins(ChatFormat::llama3, adds_special_tokens(ChatFormat::llama3)), 1);
  EXPECT_EQ(begins(ChatFormat::llama3, true), 2);
  EXPECT_EQ(begins(ChatFormat::none, adds_special_tokens(ChatFormat::none)), 1);
}

TEST_F(ChatFormats, NeedTheirSpecialTokens) {
  json patch = {{"added_tokens", golden_json("tokenizer.json")["added_tokens"]}};
  const auto missing = [&](ChatFormat format) -> std::string {
    try {
      check_chat(format, Tokenizer(golden_spec(patch)));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(missing(ChatFormat::none), "");
  EXPECT_THAT(missing(ChatFormat::llama3), HasSubstr("lacks the special token <|begin_of_text|>, which the chat format "
                                                     "llama3 needs"));
  int id = 3000;
  for (const char* token : {"<|im_start|>", "<|im_end|>"}) {
    EXPECT_THAT(missing(ChatFormat::chatml), HasSubstr(token));
    patch["added_tokens"].push_back({{"id", id++},
                                     {"content", token},
                                     {"special", true},
                                     {"normalized", false},
                                     {"lstrip", false},
                                     {"rstrip", false},
                                     {"single_word", false}});
  }
  EXPECT_EQ(missing(ChatFormat::chatml), "");
}

TEST_F(ChatFormats, OfAFolderAreFoundInItsFiles) {
  const json own = golden_json("chat.json")["templates"];
  const std::string plain = own[0]["text"], with_system = own[5]["text"];
  EXPECT_EQ(folder_chat(folder_), std::nullopt);
  write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_EQ(folder_chat(folder_), std::nullopt);
  write("tokenizer_config.json", json({{"chat_template", plain}}).dump());
  EXPECT_THAT(folder_chat(folder_), Optional(Chat{.format = ChatFormat::chatml}));
  const json named = {{{"name", "tool_use"}, {"template", "{{ tools }}"}}, {{"name", "default"}, {"template", plain}}};
  write("tokenizer_config.json", json({{"chat_template", named}}).dump());
  EXPECT_THAT(folder_chat(folder_), Optional(Chat{.format = ChatFormat::chatml}));
  write("chat_template.jinja", with_system);  // has priority
  EXPECT_THAT(folder_chat(folder_), Optional(Chat{ChatFormat::chatml, "You write copy."}));
}

TEST_F(ChatFormats, OfAFolderAreRefusedIfInvalid) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": ""}]})");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer_config.json: chat_template is array, expected a template named default, "
                                   "found rag"));
  write("tokenizer_config.json", R"({"chat_template": []})");
  EXPECT_THAT(refusal(), HasSubstr("expected a template named default, found none"));
  write("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer_config.json: chat_template is 3, expected a string"));
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default"}]})");
  EXPECT_THAT(refusal(), HasSubstr("chat_template[0].template is missing or null, expected a string"));
  write("tokenizer_config.json", "{");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer_config.json: is not JSON"));
}

// Every change that could render another text.
TEST_F(ChatFormats, OfOtherTemplatesAreRefused) {
  const std::string plain = golden_json("chat.json")["templates"][0]["text"];
  const std::pair<const char*, const char*> changes[] = {{"message['content']", "message['content'] | trim"},
                                                         {"message['content']", "message['text']"},
                                                         {"<|im_end|>\\n", "<|im_end|>"},
                                                         {"in messages", "in messages[1:]"},
                                                         {"add_generation_prompt", "not add_generation_prompt"},
                                                         {"assistant\\n", "assistant\\n<think>\\n"},
                                                         {"{% endfor %}", "{% endfor %} "},
                                                         {"{% for", "x{% for"},
                                                         {"<|im_end|>\\n", "<|im_end|>\\x0a"},
                                                         {"{% endif %}", "{% endif"},
                                                         {"{% endif %}", "{% endif %}{{ eos_token }}"},
                                                         {"{% endif %}", "{% endif %}{{ '"}};
  for (const auto& [what, with] : changes) {
    std::string changed = plain;
    ASSERT_NE(changed.find(what), std::string::npos) << what;
    changed.replace(changed.find(what), std::string_view(what).size(), with);
    EXPECT_THROW(chat_of(changed), std::invalid_argument) << changed;
  }
  write("chat_template.jinja", "\xff{{ '中' }}");
  EXPECT_THAT(refusal(),
              HasSubstr("chat_template.jinja: the chat template is unknown, expected the one of SmolLM2, "
                        "Qwen2, Qwen2.5, Qwen3-Instruct-2507, Llama 3.0 or plain ChatML; choose the format by "
                        "name: chatml, llama3 or none"));
}

TEST_F(ChatFormats, OfPublishedTemplatesThatDoMoreAreRefused) {
  if (!std::filesystem::exists(published)) GTEST_SKIP() << "scripts/fetch_data.py chat-templates has not run";
  const auto refused = [&](const char* name) {
    write("chat_template.jinja", contents(published / name));
    return refusal();
  };
  EXPECT_THAT(refused("qwen3.jinja"), HasSubstr("the chat template adds thinking sections, expected"));
  EXPECT_THAT(refused("qwen3.jinja"), HasSubstr("choose the format by name: chatml or none"));
  EXPECT_THAT(refused("llama3_1.jinja"), HasSubstr("adds dates to the system message, expected"));
  EXPECT_THAT(refused("llama3_2.jinja"), HasSubstr("choose the format by name: llama3 or none"));
  std::string changed = contents(published / "qwen2_5.jinja");  // the message with tools differs from the one without
  changed.replace(changed.find("You are Qwen"), 12, "You are Q");
  write("chat_template.jinja", changed);
  EXPECT_THAT(refusal(), HasSubstr("the chat template is unknown"));
}

TEST_F(ChatFormats, Llama3NeedsItsBeginningOfText) {
  if (!std::filesystem::exists(published)) GTEST_SKIP() << "scripts/fetch_data.py chat-templates has not run";
  write("chat_template.jinja", contents(published / "llama3.jinja"));
  write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_THAT(refusal(),
              HasSubstr("tokenizer_config.json: bos_token is \"<s>\", expected <|begin_of_text|>, with which "
                        "the chat template begins"));
  write("tokenizer_config.json", R"({"bos_token": {"content": "<|begin_of_text|>"}})");
  EXPECT_THAT(folder_chat(folder_), Optional(Chat{.format = ChatFormat::llama3}));
}

TEST(CanonicalTemplate, ControlsWhitespaceAsJinja) {
  EXPECT_EQ(canonical_template("a \n{%- if x -%} \n b {% endif %}\nc\n"), "a{%if x%}b {%endif%}c");
  EXPECT_EQ(canonical_template("a\n  {% if x %}\n  b\n  {%+ endif +%}\nc\n\n"), "a\n{%if x%}  b\n  {%endif%}\nc\n");
  EXPECT_EQ(canonical_template("a\r\n  {# c #}\r\n {{ x }}\n {{- y -}} \n"), "a\n {{x}}{{y}}");
  EXPECT_EQ(canonical_template("{{ 'a' + \"b\\n\" + m[\"c\"] | trim + ('d' + e) }}"), "ab\n{{m.c|trim}}{{('d'+e)}}");
  EXPECT_EQ(canonical_template("{{ 'a' + b if c else 'd' }}{{ '}}' }}"), "{{'a'+b if c else 'd'}}}}");
  EXPECT_EQ(canonical_template(""), "");
  for (const char* broken : {"{{", "{% x", "{# x", "{{ 'x }}", "{{ '\\", "{{ '\\x' }}", "{{ '\\'"})
    EXPECT_EQ(canonical_template(broken), std::nullopt) << broken;
}

}  // namespace
}  // namespace sartor::text
