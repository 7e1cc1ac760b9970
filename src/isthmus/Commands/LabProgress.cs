using System.Globalization;
using Isthmus.Lab.Supervisor;
using Spectre.Console;

namespace Isthmus.Commands;

/// <summary>Shows what a lab is doing: a live table on a terminal, one line for each finished step elsewhere.</summary>
internal static class LabProgress
{
    /// <param name="whole">What is shown for steps that belong to no cluster.</param>
    internal static async Task RunAsync(Func<Action<LabStep>, Task> work, string whole = "lab")
    {
        if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Ansi)
        {
            await work(step =>
            {
                if (step.IsDone) Console.WriteLine($"{Place(step, whole),-12} {step.Text,-34} {Seconds(step)}");
            });
            return;
        }
        var table = new Table().Border(TableBorder.None).HideHeaders().AddColumns("", "", "");
        var rows = new Dictionary<(string, string), int>();
        await AnsiConsole.Live(table).StartAsync(async context =>
        {
            // Steps of several clusters arrive from one connection, one after the other.
            await work(step =>
            {
                var mark = step.IsDone ? "[green]✔[/]" : "[yellow]…[/]";
                var cells = new[] { $"{mark} {Markup.Escape(Place(step, whole))}", Markup.Escape(step.Text), step.IsDone ? Seconds(step) : "" };
                if (rows.TryGetValue((step.Cluster, step.Text), out var row))
                {
                    for (var i = 0; i < cells.Length; i++) table.UpdateCell(row, i, cells[i]);
                }
                else
                {
                    rows[(step.Cluster, step.Text)] = table.Rows.Count;
                    table.AddRow(cells);
                }
                context.Refresh();
            });
        });
    }

    private static string Place(LabStep step, string whole) => step.Cluster.Length == 0 ? whole : step.Cluster;

    private static string Seconds(LabStep step) => string.Create(CultureInfo.InvariantCulture, $"{step.Milliseconds / 1000:0.00} s");
}
