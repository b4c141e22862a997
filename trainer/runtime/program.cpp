#include "runtime/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <system_error>

#include "base/require.h"
#include "core/version.h"
#include "runtime/signals.h"
#include "schema/document.h"
#include "schema/log.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

std::vector<std::string_view> names_of(const std::vector<Task>& tasks) {
  std::vector<std::string_view> names;
  for (const auto& task : tasks) names.push_back(task.name);
  return names;
}

std::string teaching(const Program& program) {
  std::string text = "Tasks (`task:` in the config):\n";
  for (const auto& task : program.tasks) text += fmt::format("  {:<14}  {}\n", task.name, task.summary);
  return fmt::format("{}\nExamples:\n{}", text, program.examples);
}

std::string config_help(const Program& program, bool markdown) {
  std::string text;
  for (const auto& task : program.tasks) {
    if (markdown) {
      text += markdown_help(fmt::format("{}: {}", program.name, task.name), task.fields()) + "\n";
    } else {
      text += fmt::format("task: {}\n{}\n\n{}\n", task.name, task.summary, terminal_help(task.fields()));
    }
  }
  return text;
}

void refuse_tasks_of_the_other(const Program& program, const YamlNode& task) {
  const bool ours = std::ranges::count(program.tasks, task.scalar, &Task::name) > 0;
  require(ours || std::ranges::count(program.tasks_of_other, task.scalar) == 0, "{}: task: {} is a task of {}",
          task.where, task.scalar, program.other);
}

void require_processes(const Task& task, const Ranks& ranks) {
  require(ranks.world_size == 1 || task.processes == Processes::sharing,
          "task {} runs in one process, WORLD_SIZE is {}: start it without torchrun", task.name, ranks.world_size);
}

// Parses the command line and runs the task. Throws what tasks throw, and CLI::ParseError.
void run(const Program& program, int argc, const char* const* argv, CLI::App& app) {
  Invocation invocation{.command = {argv, argv + argc}};
  std::vector<std::string> changes;
  bool help_config = false, help_markdown = false;
  app.add_option("--config", invocation.config, "YAML config file of the task")->type_name("FILE");
  app.add_option("--set", changes, "Override a config value; may be repeated")->type_name("a.b=c");
  app.add_flag("--dry-run", invocation.dry_run,
               "Print the complete config and the files that would be read and written, then exit");
  auto* resume = app.add_flag("--resume", invocation.resume, "Resume a run or job that was stopped");
  app.add_flag(
         "--overwrite", invocation.overwrite,
         "Replace existing output: a run folder is renamed to NAME.1, a file is replaced once the new one is complete")
      ->excludes(resume);
  app.add_flag("--help-config", help_config, "Print all config fields of each task");
  app.add_flag("--help-config-markdown", help_markdown)->group("");  // for docs/config.md
  app.set_version_flag("--version", fmt::format("{} {}", program.name, version));
  app.parse(argc, argv);

  if (help_config || help_markdown) {
    fmt::print("{}", config_help(program, help_markdown));
    return;
  }
  require(!invocation.config.empty(), "no config file given: use --config FILE; --help shows examples");
  invocation.document = load_document(invocation.config, changes);
  if (const auto* task = invocation.document.find("task")) refuse_tasks_of_the_other(program, *task);
  const auto chosen = read_choice(invocation.document, "task", names_of(program.tasks));
  const auto& task = *std::ranges::find(program.tasks, chosen, &Task::name);
  const auto ranks = Ranks::from_environment();
  require_processes(task, ranks);
  if (ranks.rank > 0) silence_log();
  catch_stop_signals(!Launch::from_environment().id.empty());
  task.run(invocation);
}

// Whether the error is one that the user can fix: permissions, missing files, a full disk.
bool for_the_user(const std::error_code& error) {
  constexpr std::errc known[] = {std::errc::permission_denied,
                                 std::errc::operation_not_permitted,
                                 std::errc::read_only_file_system,
                                 std::errc::no_space_on_device,
                                 std::errc::no_such_file_or_directory,
                                 std::errc::not_a_directory,
                                 std::errc::is_a_directory,
                                 std::errc::file_exists,
                                 std::errc::filename_too_long,
                                 std::errc::file_too_large};
  return error.value() == EDQUOT || std::ranges::any_of(known, [&](auto code) { return error == code; });
}

// Reduces messages of libraries that have several lines or a stack trace to one line.
std::string one_line(std::string text) {
  text.resize(std::min(text.size(), text.find("\nException raised from")));
  std::ranges::replace_if(
      text, [](unsigned char letter) { return letter < ' ' || letter == 0x7F; }, ' ');
  return text;
}

}  // namespace

void detail::print_dry_run(const std::string& resolved, const std::vector<fs::path>& reads,
                           const std::vector<Output>& writes) {
  fmt::print("{}", resolved);
  for (const auto& path : reads) fmt::print("# reads  {}{}\n", path.string(), fs::exists(path) ? "" : "  (missing)");
  for (const auto& [path, folder] : writes)
    fmt::print("# writes {}{}\n", path.string(), fs::exists(path) ? "  (exists)" : "");
}

std::vector<fs::path> detail::paths_to_write(const std::vector<Output>& outputs, const Invocation& invocation) {
  require(!invocation.resume, "this task has nothing to resume");
  std::vector<fs::path> paths;
  for (const auto& [path, folder] : outputs) {
    require(invocation.overwrite || !fs::exists(path), "{} exists: --overwrite replaces it", path.string());
    paths.push_back(path);
  }
  return paths;
}

int run_program(const Program& program, int argc, const char* const* argv) {
  const auto failed = [&](int status, std::string problem) {
    fmt::print(stderr, "{}: {}\n", program.name, one_line(std::move(problem)));
    return status;
  };
  CLI::App app(program.summary, program.name);
  app.footer(teaching(program));
  try {
    run(program, argc, argv, app);
    return 0;
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return failed(2, error.what());
  } catch (const Stopped& stopped) {
    return failed(128 + stopped.signal, stopped.what());
  } catch (const std::invalid_argument& error) {
    return failed(2, error.what());
  } catch (const std::system_error& error) {
    return failed(for_the_user(error.code()) ? 2 : 1, error.what());
  } catch (const std::bad_alloc&) {
    return failed(1, "out of memory");
  } catch (const std::exception& error) {
    return failed(1, error.what());
  }
}

}  // namespace sartor
