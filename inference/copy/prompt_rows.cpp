#include "copy/prompt_rows.h"

#include <algorithm>
#include <tuple>

#include "encodings/printable.h"

namespace sartor::inference {

PromptMaker::PromptMaker(PromptTemplate pattern, const std::vector<ListConfig>& lists, bool masks)
    : pattern_(std::move(pattern)), masks_(masks) {
  for (const auto& list : lists) lists_.emplace_back(list);
}

PromptMaker::Made PromptMaker::make(const std::function<std::string_view(size_t)>& value, std::string_view id) const {
  Made made;
  const auto list = [&](size_t i) -> const std::vector<std::string>& { return lists_[i].values(id); };
  made.refusal = pattern_.fill(value, list, made.prompt);
  if (masks_) made.prompt = privacy::mask(made.prompt, made.masked);
  return made;
}

std::string PromptMaker::shown(const std::string& text) const {
  privacy::MaskCounts counts;
  return masks_ ? privacy::mask(text, counts) : text;
}

PromptWindow prompts_of(text::TextWindow window, size_t keep, const PromptMaker& maker, const PromptTokens& tokens,
                        const text::RunTasks& run) {
  PromptWindow found = {.part = window.part,
                        .ends_part = window.ends_part,
                        .kept = std::vector<datasets::StringColumn>(keep),
                        .rejected = std::move(window.unfit)};
  std::vector<PromptMaker::Made> made;
  std::vector<std::string> prompts;
  for (int64_t row = 0; row < window.size(); row++) {
    const auto value = [&](size_t i) { return window.kept[keep + i][row]; };
    made.push_back(maker.make(value, window.ids.size() > 0 ? window.ids[row] : std::string_view()));
    prompts.push_back(made.back().prompt);
  }
  auto encoded = tokens.encode(prompts, run);
  for (int64_t row = 0; row < window.size(); row++) {
    auto& refusal = made[row].refusal;
    if (!refusal && std::holds_alternative<Refusal>(encoded[row])) refusal = std::get<Refusal>(encoded[row]);
    if (refusal) {
      const auto& [file, number] = window.places[row];
      require(!refusal->fatal, "{}: row {}: {}: {}", file, number, refusal->reason,
              datasets::printable(maker.shown(refusal->text), 200));
      found.rejected.push_back({file, number, refusal->reason, refusal->text});
      continue;
    }
    found.rows.push_back({window.rows[row], std::move(prompts[row]), made[row].masked,
                          std::get<PromptTokens::Ids>(std::move(encoded[row]))});
    if (window.ids.size() > 0) found.ids.push_back(window.ids[row]);
    for (size_t i = 0; i < keep; i++) found.kept[i].push_back(window.kept[i][row]);
  }
  // files are read in the order of their names
  std::ranges::stable_sort(found.rejected, {}, [](const auto& each) { return std::tie(each.file, each.row); });
  for (auto& rejected : found.rejected) rejected.text = maker.shown(rejected.text);
  return found;
}

}  // namespace sartor::inference
