#include "texts/text_scoring.h"

#include <algorithm>
#include <chrono>

#include "core/parallel_for.h"
#include "jobs/job_files.h"
#include "jobs/job_parts.h"
#include "jobs/read_ahead.h"
#include "jobs/stopping.h"
#include "models/hf/text_input.h"
#include "runtime/process_group.h"
#include "runtime/progress.h"
#include "schema/log.h"
#include "storage/watched_files.h"
#include "tables/presets.h"
#include "text/template.h"
#include "text/tokenizers/tokenizer_files.h"
#include "texts/trained_input.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using text::TextWindow;

// Files of the source and the model.
std::vector<fs::path> files_of(const TextScoringConfig& config, const fs::path& folder) {
  auto files = source_files(config.source);
  const auto more = model_files(folder);
  files.insert(files.end(), more.begin(), more.end());
  return files;
}

// File names are not part of the origin: contents are compared.
JobOrigin origin_of(const TextScoringConfig& config, const TextScoring& scoring, const fs::path& folder) {
  auto may_change = job_may_change();
  may_change.insert(may_change.end(), {"batch_tokens", "window", "model", "source.path"});
  return {scoring.config, std::move(may_change), files_of(config, folder)};
}

// The templates and maximum length to use.
hf::TextInput input_of(const TextScoringConfig& config, const fs::path& folder) {
  const auto trained = hf::read_text_input(folder);
  hf::TextInput input = {config.text.value_or("{text}"), config.pair, config.max_length};
  if (trained) {
    const TrainedInput training = {config.model, config.other_input};
    input = {.text = *training.agreed("text", config.text, std::optional(trained->text)),
             .pair = training.agreed("pair", config.pair, std::optional(trained->pair.value_or(""))),
             .max_length = training.agreed("max_length", config.max_length, trained->max_length)};
  }
  if (input.pair && input.pair->empty()) input.pair.reset();
  return input;
}

// The folder's tokenizer and its options.
struct Encoder {
  text::Tokenizer tokenizer;
  text::EncodeOptions options;
};

Encoder open_tokenizer(const hf::TextInput& input, const fs::path& folder, const bert::BertConfig& model) {
  const int64_t longest = model.longest_sequence(), length = input.max_length.value_or(longest);
  require(length <= longest, "max_length is {}, but {} supports at most {}", length, folder.string(), longest);
  Encoder encoder = {text::Tokenizer(text::read_tokenizer(folder)),
                     {.truncation = text::Truncation{.max_length = length}}};
  require(encoder.tokenizer.vocabulary_size() <= model.vocab_size, "{}: the tokenizer has {} ids, but the model has {}",
          folder.string(), encoder.tokenizer.vocabulary_size(), model.vocab_size);
  // fail before the first row if no row could be scored
  const auto tried =
      input.pair ? encoder.tokenizer.encode("a", "a", encoder.options) : encoder.tokenizer.encode("a", encoder.options);
  const auto types = std::ranges::max_element(tried.type_ids);
  require(types == tried.type_ids.end() || *types < model.type_vocab_size,
          "{}: the tokenizer uses token type {}, but the model has {} token types", folder.string(), int{*types},
          model.type_vocab_size);
  return encoder;
}

// A window of rows with tokens instead of texts.
struct Encoded : TextWindow {
  text::Encodings tokens;
};

using Ahead = ReadAhead<Encoded>;

// Reads and tokenizes the next rows.
std::optional<Encoded> read_encoded(text::TextRows& rows, const Encoder& encoder, int threads) {
  Encoded window;
  if (!rows.next(window)) return {};
  window.tokens =
      encoder.tokenizer.encode(window.texts.views(), window.pairs.views(), encoder.options, cuda::tasks_on(threads));
  window.texts = window.pairs = {};
  return window;
}

// double, because sums over ranks are of doubles
struct Counts {
  double rows = 0, tokens = 0, cut = 0;
};

// Scores this rank's parts.
class Share {
 public:
  Share(const TextScoringConfig& config, const TextTask& task, const JobParts& parts, const Collective& ranks)
      : config_(config), task_(task), writer_(parts, *task.output), several_(ranks.size() > 1) {
    if (ranks.first()) progress_.emplace("row", 0);
  }

  Counts score(Ahead& ahead) {
    while (const auto window = ahead.next()) {
      const auto& tokens = window->tokens;
      write(*window, task_.model.score(tokens, config_.batch_tokens, [&](int64_t done) {
        show(done);
        ahead.progress(static_cast<double>(done) / static_cast<double>(window->size()));
      }));
      counts_.rows += static_cast<double>(window->size());
      counts_.tokens += static_cast<double>(tokens.ids.size());
      counts_.cut += static_cast<double>(tokens.cut);
      show(0);
    }
    return counts_;
  }

 private:
  void show(int64_t done) {
    stop_if_asked(config_.output);
    if (progress_) progress_->update(static_cast<int64_t>(counts_.rows) + done, several_ ? "on this rank" : "");
  }

  void write(const TextWindow& window, std::vector<float> values) {
    writer_.open(window.part);
    for (const auto& [file, row, reason, text] : window.unfit) writer_.rejects().add(file, row, reason, text);
    task_.output->append(window, std::move(values));
    if (window.ends_part) writer_.close();
  }

  const TextScoringConfig& config_;
  const TextTask& task_;
  PartWriter writer_;
  const bool several_;
  Counts counts_;
  std::optional<Progress> progress_;
};

// Sums over all ranks. Called after each has finished its parts.
Counts sum_of(const Counts& counts, const TextScoringConfig& config, Collective& ranks) {
  const auto sums = unless_stopped(config.output, [&] { return ranks.sum({counts.rows, counts.tokens, counts.cut}); });
  return {sums[0], sums[1], sums[2]};
}

}  // namespace

void TextScoringConfig::check() const {
  for (const auto& pattern : {text, pair}) {
    if (pattern) text::Template{*pattern};
  }
}

std::vector<fs::path> TextScoringConfig::reads() const {
  auto paths = datasets::files_to_read(source);
  paths.emplace_back(model);
  return paths;
}

void score_texts(const TextScoringConfig& config, const TextScoring& scoring, const Invocation& invocation) {
  const auto runtime = make_runtime(config, Compute::libtorch);
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
  JobParts parts({.output = config.output,
                  .rejects = config.rejects_path(),
                  .record = config.record_path(),
                  .extension = scoring.part_extension,
                  .ranks = &ranks,
                  .start = {runtime.launch, invocation.resume, invocation.overwrite}});
  const auto folder = model_folder(config.model);
  if (parts.complete()) {
    parts.check_complete(origin_of(config, scoring, folder));
    return log_info("{} is already complete", config.output);
  }

  const auto input = input_of(config, folder);
  text::TextRows rows({.source = config.source,
                       .text = input.text,
                       .pair = input.pair,
                       .keep = scoring.keep,
                       .id = scoring.id,
                       .rows_per_part = config.rows_per_part,
                       .window = config.window,
                       .shared = ranks.size() > 1},
                      [&] { return parts.next(); });
  const auto task = scoring.open(folder, runtime.gpu);
  const auto encoder = open_tokenizer(input, folder, task.model.config());
  const auto origin = origin_of(config, scoring, folder);
  const datasets::WatchedFiles watched(origin.files);
  parts.begin(origin);
  for (const auto& line : task.model.ignored()) log_info("{}", line);
  log_info("device: {}", runtime.device);

  const auto start = std::chrono::steady_clock::now();
  Ahead ahead([&] { return read_encoded(rows, encoder, runtime.threads); }, ranks.size() > 1);
  const auto share = Share(config, task, parts, ranks).score(ahead);
  watched.check();
  const auto all = sum_of(share, config, ranks);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  int64_t written = 0;
  const int64_t rejected = parts.finish(rows.parts(), [&](const auto& paths) {
    written = task.output->join(paths, config.output, [&] { stop_if_asked(config.output); });
  });
  if (!ranks.first()) return;
  log_info("{}: {} rows; {} rejected; {:.0f} scored now, {:.0f} rows/s, {:.0f} tokens/s", config.output, written,
           rejected, all.rows, all.rows / seconds.count(), all.tokens / seconds.count());
  if (all.cut > 0) {
    log_warning("{:.0f} of the {:.0f} rows scored now were cut at max_length {}", all.cut, all.rows,
                encoder.options.truncation->max_length);
  }
  if (rejected > 0) log_warning("{} says why rows were rejected", config.rejects_path());
}

}  // namespace sartor::inference
