namespace Isthmus.Commands;

/// <summary>Columns parted by spaces, as kubectl and istioctl print them: easy to read, and to cut with awk.</summary>
internal static class TextTable
{
    private const int Gap = 5;

    internal static void Write(string[] header, IReadOnlyList<string[]> rows)
    {
        var widths = header.Select((title, column) => rows.Select(row => row[column].Length).Append(title.Length).Max() + Gap).ToArray();
        Line(header);
        foreach (var row in rows) Line(row);

        void Line(string[] cells)
        {
            var last = cells.Length - 1;
            for (var column = 0; column < last; column++) Console.Write(cells[column].PadRight(widths[column]));
            Console.WriteLine(cells[last]);
        }
    }
}
