#include "copy/copy_share.h"

#include "jobs/stopping.h"

namespace sartor::inference {

CopyShare::CopyShare(const GenerateConfig& config, const JobParts& parts, CopyTable& table, const Collective& ranks)
    : config_(config), table_(table), filters_(config.filters), parts_(parts, table), several_(ranks.size() > 1) {
  if (ranks.first()) progress_.emplace("row", 0);
}

WriteCounts CopyShare::write(TextWriter& writer, ReadAhead<PromptWindow>& ahead) {
  writer.write([&] { return next(ahead); }, [&](Written written) { return done(std::move(written)); },
               [&](std::string_view) { stop_if_asked(config_.output); });
  write_complete();
  return counts_;
}

std::optional<Prompt> CopyShare::next(ReadAhead<PromptWindow>& ahead) {
  stop_if_asked(config_.output);
  while (open_.empty() || std::ssize(open_.back().texts) == open_.back().window.size()) {
    write_complete();
    auto window = ahead.next();
    if (!window) return {};
    const auto rows = window->size();
    auto& open = open_.emplace_back(Open{.window = std::move(*window)});
    open.texts.reserve(rows);
    open.copies.resize(rows);
  }
  auto& open = open_.back();
  const auto row = std::ssize(open.texts);
  const auto& prompt = open.window.rows[row];
  const auto variants = static_cast<int32_t>(config_.decoding.num_return_sequences);
  open.texts.emplace_back(variants);
  places_.emplace(prompt.row, Place{&open, row});
  ahead.progress(static_cast<double>(row + 1) / static_cast<double>(open.window.size()));
  return Prompt{.row = prompt.row, .ids = prompt.ids, .variants = variants};
}

std::optional<Prompt> CopyShare::done(Written written) {
  stop_if_asked(config_.output);
  counts_.texts++;
  counts_.tokens += static_cast<double>(written.ids.size());
  const auto place = places_.find(written.row);
  const auto [open, row] = place->second;
  auto& texts = open->texts[row];
  const auto more = texts.add(std::move(written), filters_, config_.filters.refill);
  if (!more) return {};
  const auto& prompt = open->window.rows[row];
  if (*more > 0) return Prompt{prompt.row, prompt.ids, texts.first_draw(), *more};
  open->copies[row] = texts.take();
  open->complete++;
  places_.erase(place);
  counts_.rows++;
  show();
  if (open == &open_.front()) write_complete();
  return {};
}

// Writes the first windows as far as they are complete.
void CopyShare::write_complete() {
  for (; !open_.empty() && open_.front().complete == open_.front().window.size(); open_.pop_front()) {
    write(open_.front());
  }
}

void CopyShare::write(Open& open) {
  auto& window = open.window;
  parts_.open(window.part);
  for (const auto& [file, row, reason, text] : window.rejected) parts_.rejects().add(file, row, reason, text);
  table_.append(window, std::move(open.copies));
  if (window.ends_part) parts_.close();
}

void CopyShare::show() {
  if (progress_) progress_->update(static_cast<int64_t>(counts_.rows), several_ ? "on this rank" : "");
}

}  // namespace sartor::inference
