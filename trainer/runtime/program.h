// What sartor-train and sartor-infer have in common: the command line, the table of tasks, how a program ends.
//
//   int main(int argc, char** argv) {
//     using namespace sartor;
//     return run_program(
//         {.name = "sartor-train",
//          .tasks = {task("prepare", Processes::one, "Raw tables in, one prepared file out.", prepare),
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

// What the command line said.
struct Invocation {
  std::vector<std::string> command;  // as typed
  std::string config = {};           // its file
  YamlNode document = {};            // --config with each --set
  bool dry_run = false;
  bool resume = false;
  bool overwrite = false;
};

// What several processes that are started together (torchrun) mean to a task: each would do the whole job, which is
// refused, or they share its work.
enum class Processes { one, sharing };

struct Task {
  std::string name;
  Processes processes;
  std::string summary;  // one line for --help
  std::function<std::vector<FieldHelp>()> fields;
  std::function<void(const Invocation&)> run;
};

struct Program {
  std::string name;
  std::string summary;
  std::string examples;  // for --help
  std::vector<Task> tasks;
  std::string other = {};  // the other program, and its tasks: for messages
  std::vector<std::string_view> tasks_of_other = {};
};

// Does what the command line says. Every failure is one line on stderr, "sartor-train: ...". Returns the exit status:
//
//   0    done
//   1    a failure
//   2    a user error: config, data, what the disk or the rights refuse
//   129  stopped by SIGHUP; 130 by SIGINT; 143 by SIGTERM
int run_program(const Program& program, int argc, const char* const* argv);

// The config of a task. reads() are the files and folders that it opens, patterns expanded; writes() are all that it
// makes. --dry-run names them, and none may be in the way of another (task_files.h).
template <class Config>
concept TaskConfig = Section<Config> && std::derived_from<Config, RuntimeConfig> && requires(const Config& config) {
  { config.reads() } -> std::convertible_to<std::vector<std::filesystem::path>>;
  { config.writes() } -> std::convertible_to<std::vector<Output>>;
};

namespace detail {
void print_dry_run(const std::string& resolved, const std::vector<std::filesystem::path>& reads,
                   const std::vector<Output>& writes);

// The outputs' paths. Throws std::invalid_argument where one exists and is not to be replaced.
std::vector<std::filesystem::path> paths_to_write(const std::vector<Output>& outputs, const Invocation& invocation);
}  // namespace detail

// A task by what it does with its config and the command line.
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
              }};
}

// A task that makes its outputs in one go. Existing ones are refused without --overwrite; there is nothing to --resume.
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
