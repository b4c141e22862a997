#include "text/generation.h"

#include "base/require.h"
#include "text/template.h"

namespace sartor::text {

datasets::Content content_of(const TextConfig& texts, const GenerationConfig& generation) {
  if (generation.rejected) return datasets::Content::preference;
  return texts.pair ? datasets::Content::prompt_completion : datasets::Content::language_modeling;
}

void check(const TextConfig& texts, const GenerationConfig& generation) {
  require(texts.label.kind == LabelKind::none, "generation: data.label.kind is {}, expected none",
          name_of(texts.label.kind));
  if (generation.rejected) {
    require(texts.pair.has_value(), "generation.rejected needs data.pair, the template of the chosen texts");
    Template{*generation.rejected};
  }
  if (content_of(texts, generation) != datasets::Content::language_modeling) return;
  require(generation.chat == ChatChoice::automatic || generation.chat == ChatChoice::none,
          "generation.chat is {}, but there is no data.pair: plain texts have no chat format",
          name_of(generation.chat));
  require(!generation.system, "generation.system is set, but there is no data.pair: plain texts have no chat format");
  require(!generation.best_of, "generation.best_of is set, but there is no data.pair: plain texts have no prompts");
}

}  // namespace sartor::text
