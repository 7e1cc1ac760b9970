using Isthmus.Core.Names;

namespace Isthmus.Output;

/// <summary>
/// Columns separated by spaces, as kubectl and istioctl print them: easy to read, and to cut with awk. Rows that are too wide for a terminal
/// go on in a second line, and break between two columns; in a file or pipe each row is one line.
/// </summary>
internal static class TextTable
{
    private const int Gap = 5;
    private const int NarrowGap = 2;
    private const string Indent = "    ";
    private const string Cut = "…";

    /// <summary>The least that must remain of a column that is cut to keep a row on one line.</summary>
    private const int Readable = 35;

    /// <param name="mayCut">A column that may lose its end, where that makes rows fit.</param>
    /// <param name="paint">Colors a cell of a column.</param>
    internal static void Write(string[] header, IReadOnlyList<string[]> rows, int? mayCut = null,
        Func<int, string, string>? paint = null) => Write(Terminal.Painted, Terminal.Width, header, rows, mayCut, paint);

    internal static void Write(TextWriter output, int terminal, string[] header, IReadOnlyList<string[]> rows, int? mayCut = null,
        Func<int, string, string>? paint = null)
    {
        rows = [.. rows.Select(row => Array.ConvertAll(row, Visible.Text))];
        var widths = header.Select((title, column) => rows.Select(row => row[column].Length).Append(title.Length).Max()).ToArray();
        var gap = Total(Gap) <= terminal ? Gap : NarrowGap;
        if (mayCut is { } cut && Total(gap) > terminal)
        {
            var fits = widths[cut] - (Total(gap) - terminal);
            widths[cut] = fits >= Readable ? fits : Math.Clamp(terminal - Indent.Length, 1, widths[cut]);
        }
        Line(header, null);
        foreach (var row in rows) Line(row, paint);

        int Total(int between) => widths.Sum() + between * (widths.Length - 1);

        void Line(string[] cells, Func<int, string, string>? paint)
        {
            var line = "";
            var position = 0;
            for (var column = 0; column < cells.Length; column++)
            {
                if (position > 0 && position + widths[column] > terminal)
                {
                    output.WriteLine(line.TrimEnd());
                    line = Indent;
                    position = Indent.Length;
                }
                var cell = cells[column].Length <= widths[column] ? cells[column] : cells[column][..(widths[column] - Cut.Length)] + Cut;
                // What colors a cell has no width.
                line += (paint is null || cell.Length == 0 ? cell : paint(column, cell)) + new string(' ', widths[column] + gap - cell.Length);
                position += widths[column] + gap;
            }
            // The second line of a row may have nothing in it, for example no message.
            if (!string.IsNullOrWhiteSpace(line)) output.WriteLine(line.TrimEnd());
        }
    }
}
