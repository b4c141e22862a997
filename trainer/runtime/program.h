// The main function of sartor-train and sartor-infer: command line, table of tasks, error handling, exit status.
//
//   int main(int argc, char** argv) {
//     using namespace sartor;
//     return run_program(
//         {.name = "sartor-train",
//          .tasks = {task("prepare", Processes::one, "Converts a table of ratings to a prepared HDF5 file.", prepare),
//                    task(...)}},
//         argc, argv);
//   }
#pragma once

#include <concepts>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/task_files.h"
#include "schema/config.h"
#include "schema/help.h"
#include "storage/atomic_file.h"

namespace sartor {

// The parsed command line.
struct Invocation {
  std::vector<std::string> command;  // all arguments
  std::string config = {};           // path of the config file
  YamlNode document = {};            // the config with each --set applied
  bool dry_run = false;
  bool resume = false;
  bool overwrite = false;
  bool alone = false;  // the other processes that were started together do something else
};

// Whether a task supports several processes that are started together (torchrun). `one` rejects them, because each
// would do the whole job; with `sharing` they divide the work.
enum class Processes { one, sharing };

struct Task {
  std::string name;
  Processes processes;
  std::string summary;  // one line for --help
  std::function<std::vector<FieldHelp>()> fields;
  std::function<void(const Invocation&)> run;
  // What a config of the task writes. Throws std::invalid_argument if the config is not valid.
  std::function<std::vector<Output>(const YamlNode& document)> outputs = {};
};

struct Program {
  std::string name;
  std::string summary;
  std::string examples;  // for --help
  std::vector<Task> tasks;
  std::string other = {};  // the other program and its tasks, for error messages
  std::vector<std::string_view> tasks_of_other = {};
};

// Runs the task of the command line. Errors are one line on stderr, "sartor-train: ...". Returns the exit status:
//
//   0    success
//   1    internal or environment error
//   2    user error: config, data, missing files, permissions, full disk
//   129  stopped by SIGHUP; 130 by SIGINT; 143 by SIGTERM
int run_program(const Program& program, int argc, const char* const* argv);

// The config of a task. reads() returns the files and folders that it opens, with patterns expanded; writes() returns
// all that it creates. --dry-run prints them; they must not overlap (task_files.h).
template <class Config>
concept TaskConfig = Section<Config> && std::derived_from<Config, RuntimeConfig> && requires(const Config& config) {
  { config.reads() } -> std::convertible_to<std::vector<std::filesystem::path>>;
  { config.writes() } -> std::convertible_to<std::vector<Output>>;
};

namespace detail {
void print_dry_run(const std::string& resolved, const std::vector<std::filesystem::path>& reads,
                   const std::vector<Output>& writes);

// Paths of the outputs. Throws std::invalid_argument if one exists and --overwrite is not set, or if --resume is set.
std::vector<std::filesystem::path> paths_to_write(const std::vector<Output>& outputs, const Invocation& invocation);
}  // namespace detail

// Makes a task from a function of its config and the command line.
template <TaskConfig Config> Task make_task(std::string name, Processes processes, std::string summary,
                                            std::function<void(const Config&, const Invocation&)> body) {
  return {.name = std::move(name),
          .processes = processes,
          .summary = std::move(summary),
          .fields = [] { return field_help<Config>(); },
          .run =
              [body = std::move(body)](const Invocation& invocation) {
                const auto config = read_config<Config>(invocation.document);
                const std::vector<std::filesystem::path> reads = config.reads();
                const std::vector<Output> writes = config.writes();
                refuse_overlap(invocation.config, reads, writes);
                refuse_other_kinds(writes);
                if (invocation.dry_run) return detail::print_dry_run(to_yaml(config), reads, writes);
                body(config, invocation);
              },
          .outputs = [](const YamlNode& document) { return read_config<Config>(document).writes(); }};
}

// Makes a task that cannot be resumed. Existing outputs are an error without --overwrite.
template <TaskConfig Config>
Task task(std::string name, Processes processes, std::string summary, void (*run)(const Config&, Runtime&)) {
  return make_task<Config>(std::move(name), processes, std::move(summary),
                           [run](const Config& config, const Invocation& invocation) {
                             const datasets::OutputFolders folders(detail::paths_to_write(config.writes(), invocation));
                             Runtime runtime = make_runtime(config);
                             run(config, runtime);
                           });
}

}  // namespace sartor
