#include "copy/generate.h"

#include <chrono>
#include <cstdio>
#include <fstream>

#include "copy/copy_results.h"
#include "copy/copy_share.h"
#include "copy/generator.h"
#include "copy/review_file.h"
#include "core/parallel_for.h"
#include "encodings/unicode.h"
#include "jobs/job_files.h"
#include "jobs/stopping.h"
#include "models/gpt/decoder.h"
#include "resume/record.h"
#include "runtime/process_group.h"
#include "runtime/signals.h"
#include "schema/log.h"
#include "storage/watched_files.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

JobOrigin origin_of(const GenerateConfig& config, const fs::path& folder) {
  auto files = source_files(*config.source);
  for (const auto& list : config.lists) {
    const auto more = source_files(list.table);
    files.insert(files.end(), more.begin(), more.end());
  }
  const auto of_model = model_files(folder);
  files.insert(files.end(), of_model.begin(), of_model.end());
  return {config, may_change_in_generation(), std::move(files)};
}

JobRequest request_of(const GenerateConfig& config, const Invocation& invocation, const Runtime& runtime,
                      Collective& ranks) {
  JobRequest request = {.output = config.output,
                        .rejects = config.rejects_path(),
                        .record = config.record_path(),
                        .extension = ".parquet",
                        .reports = {config.results_path()},
                        .ranks = &ranks,
                        .start = {runtime.launch, invocation.resume, invocation.overwrite}};
  if (config.review) request.reports.emplace_back(config.review->path);
  return request;
}

PromptMaker prompt_maker(const GenerateConfig& config, const Generator& generator) {
  std::vector<std::string> names;
  for (const auto& list : config.lists) names.push_back(list.slot());
  return {PromptTemplate(generator.prompt, config.slots, names, generator.special_tokens()), config.lists,
          config.mask_pii};
}

// The columns to keep, then those of the prompt.
text::TextRowsOptions rows_of(const GenerateConfig& config, const PromptTemplate& pattern, bool shared) {
  text::TextRowsOptions options = {.source = *config.source,
                                   .text = "",
                                   .keep = config.keep,
                                   .id = config.id,
                                   .rows_per_part = config.rows_per_part,
                                   .window = config.window,
                                   .may_be_blank = true,
                                   .places = true,
                                   .shared = shared};
  options.keep.insert(options.keep.end(), pattern.columns().begin(), pattern.columns().end());
  return options;
}

// What the join of the parts finds out besides the output.
struct Reports {
  CopyResults results;
  std::optional<ReviewSample> review;

  explicit Reports(const GenerateConfig& config) {
    if (config.review) review.emplace(config.review->rows, config.decoding.seed);
  }
  void add(const CopyRecord& record) {
    results.add(record);
    if (review) review->add(record);
  }
};

int64_t rejected_rows(const fs::path& rejects) {
  std::ifstream file(rejects);
  int64_t lines = 0;
  for (std::string line; std::getline(file, line);) lines++;
  return std::max<int64_t>(lines - 1, 0);
}

void write_reports(const GenerateConfig& config, Reports& reports, const std::string& model) {
  auto results = reports.results.json();
  results["rejected_rows"] = rejected_rows(config.rejects_path());
  results["model_hash"] = model;
  results["config_hash"] = config_hash(config);
  results["seed"] = config.decoding.seed;
  write_record(config.results_path(), results);
  if (reports.review) reports.review->write(config.review->path, config.id.has_value());
}

// The windows of this rank's parts, which are read and tokenized ahead.
class Prompts {
 public:
  Prompts(const GenerateConfig& config, const Generator& generator, JobParts& parts, bool shared, int threads)
      : keep_(config.keep.size()),
        threads_(threads),
        maker_(prompt_maker(config, generator)),
        tokens_(generator.prompt_tokens()),
        rows_(rows_of(config, maker_.pattern(), shared), [&parts] { return parts.next(); }) {}

  std::optional<PromptWindow> next() {
    text::TextWindow window;
    if (!rows_.next(window)) return {};
    return prompts_of(std::move(window), keep_, maker_, tokens_, cuda::tasks_on(threads_));
  }
  int64_t parts() const { return rows_.parts(); }

 private:
  const size_t keep_;
  const int threads_;
  const PromptMaker maker_;
  const PromptTokens tokens_;
  text::TextRows rows_;
};

// Decoder and writer of a model.
struct Writing {
  std::unique_ptr<gpt::Decoder> decoder;
  TextWriter writer;

  Writing(const GenerateConfig& config, const Generator& generator, const Runtime& runtime)
      : decoder(gpt::open_decoder(generator.folder, config.precision, runtime.gpu, runtime.threads)),
        writer(*decoder, *generator.tokenizer, config.decoding, generator.end_ids, config.limits) {}
};

void log_texts(const GenerateConfig& config, int64_t written, int64_t rejected, const std::vector<double>& sums,
               double seconds) {
  log_info("{}: {} texts; {} rows rejected; {:.0f} rows and {:.0f} texts written now, {:.0f} tokens/s", config.output,
           written, rejected, sums[0], sums[1], sums[2] / seconds);
  if (rejected > 0) log_warning("{} says why rows were rejected", config.rejects_path());
}

void write_table(const GenerateConfig& config, const Invocation& invocation) {
  const auto runtime = make_runtime(config, Compute::libtorch);
  ProcessGroup ranks(runtime.ranks, /*gpu=*/false, std::chrono::seconds(config.ddp_timeout));
  JobParts parts(request_of(config, invocation, runtime, ranks));
  const auto generator = open_generator(config);
  const auto origin = origin_of(config, generator.folder);
  if (parts.complete()) {
    parts.check_complete(origin);
    return log_info("{} is already complete", config.output);
  }
  const bool shared = ranks.size() > 1;
  Prompts prompts(config, generator, parts, shared, runtime.threads);
  const auto model = model_hash(generator.folder);
  Reports reports(config);
  CopyTable table(config, model, [&](const CopyRecord& record) { reports.add(record); });
  Writing writing(config, generator, runtime);
  const datasets::WatchedFiles watched(origin.files);
  parts.begin(origin);
  log_info("device: {}", runtime.device);

  const auto start = Clock::now();
  ReadAhead<PromptWindow> ahead([&] { return prompts.next(); }, shared);
  const auto share = CopyShare(config, parts, table, ranks).write(writing.writer, ahead);
  watched.check();
  const auto sums = unless_stopped(config.output, [&] { return ranks.sum({share.rows, share.texts, share.tokens}); });
  const double seconds = seconds_since(start);
  int64_t written = 0;
  const int64_t rejected = parts.finish(prompts.parts(), [&](const auto& paths) {
    written = table.join(paths, config.output, [&] { stop_if_asked(config.output); });
    write_reports(config, reports, model);
  });
  if (ranks.first()) log_texts(config, written, rejected, sums, seconds);
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

PromptWindow single_prompt(const GenerateConfig& config, const Generator& generator) {
  const auto maker = prompt_maker(config, generator);
  require(maker.pattern().constant(),
          "the prompt \"{}\" has the slot {{{}}}, but there is no source; write {{{{ for a literal brace",
          generator.prompt, maker.pattern().constant() ? "" : maker.pattern().columns()[0]);
  text::TextWindow window = {.rows = {1}, .places = {{"prompt", 1}}};
  auto found = prompts_of(std::move(window), 0, maker, generator.prompt_tokens(), nullptr);
  require(found.rejected.empty(), "{}",
          found.rejected.empty() ? "" : found.rejected[0].reason + ": " + found.rejected[0].text);
  return found;
}

void stop_writing_if_asked() {
  const int signal = stop_signal();
  if (signal != 0) throw Stopped(signal, fmt::format("stopped by {}", signal_name(signal)));
}

// A single text goes out while it is written, several ones when all are complete.
void write_one(const GenerateConfig& config, const Invocation& invocation) {
  require(!invocation.resume, "--resume continues tables, but there is no source");
  const auto runtime = make_runtime(config, Compute::libtorch);
  require(runtime.ranks.world_size == 1, "several processes share the rows of a table, but there is no source");
  const auto generator = open_generator(config);
  const auto prompts = single_prompt(config, generator);
  Writing writing(config, generator, runtime);
  const auto variants = static_cast<int32_t>(config.decoding.num_return_sequences);
  const bool streams = variants == 1 && config.decoding.num_beams == 1 && config.filters.refill.attempts == 1;
  const TextFilters filters(config.filters);
  RowTexts texts(variants);
  const auto& prompt = prompts.rows[0];
  bool sent = false;
  writing.writer.write(
      [&]() -> std::optional<Prompt> {
        if (std::exchange(sent, true)) return {};
        return Prompt{.row = prompt.row, .ids = prompt.ids, .variants = variants};
      },
      [&](Written written) -> std::optional<Prompt> {
        stop_writing_if_asked();
        const auto more = texts.add(std::move(written), filters, config.filters.refill).value_or(0);
        if (more == 0) return {};
        return Prompt{prompt.row, prompt.ids, texts.first_draw(), more};
      },
      [&](std::string_view piece) {
        stop_writing_if_asked();
        if (streams) print(piece);
      });
  for (const auto& copy : texts.take()) {
    if (copy.fate != Fate::written) continue;
    if (!streams) print(copy.written.text);
    print("\n");
    for (const auto verdict : copy.verdicts) log_warning("variant {} is rejected: {}", copy.variant, name_of(verdict));
  }
}

}  // namespace

void generate(const GenerateConfig& config, const Invocation& invocation) {
  config.source ? write_table(config, invocation) : write_one(config, invocation);
}

}  // namespace sartor::inference
