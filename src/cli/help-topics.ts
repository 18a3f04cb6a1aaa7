/** What the exit codes mean; the end of `regraft --help`, and `regraft help exit-codes`. */
export const exitCodeHelp = `Exit codes:
  0    done
  1    a bug in regraft, or a check of doctor failed
  2    wrong usage or configuration
  3    data: no images, one class, too many bad files
  4    weights: missing, damaged, not to be had
  5    --min-accuracy was not met; all else is written
  6    memory or disk
  7    finished, but some inputs failed and --strict was given
  75   stopped by a time budget; can be resumed
  130  stopped by SIGINT (Ctrl-C) after saving
  143  stopped by SIGTERM after saving
`

/** Where options may stand. */
export const configurationHelp = `Configuration:
  The value of an option comes from the first of these that has one:
  1. the flag:                       --batch-size 32
  2. the environment:                REGRAFT_BATCH_SIZE=32
  3. the file given with --config:   batch-size: 32   (YAML, or JSON in a .json file)
  4. the default

  Switches are true or false there: 'overwrite: true', REGRAFT_QUIET=1; 'pretrained: false' is --no-pretrained.
  stdout carries data only; people are spoken to on stderr. Nothing is coloured, so NO_COLOR has nothing to do.
`

/** What `regraft help TOPIC` knows besides the commands. */
export const topics: Readonly<Record<string, string>> = { 'exit-codes': exitCodeHelp, configuration: configurationHelp }
