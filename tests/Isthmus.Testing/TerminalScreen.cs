using System.Globalization;
using System.Text;

namespace Isthmus.Testing;

/// <summary>What a terminal shows of a program's output. It implements the part of a terminal that our programs use, and
/// the ways in which they could damage the lines above.</summary>
public sealed class TerminalScreen(int columns)
{
    private readonly List<StringBuilder> _lines = [new()];
    private int _row;
    private int _column;

    public IReadOnlyList<string> Lines => [.. _lines.Select(line => line.ToString().TrimEnd())];

    public void Write(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\r') _column = 0;
            else if (text[i] == '\n') Down();
            else if (text[i] == '\e') i = Escape(text, i);
            else Put(text[i]);
        }
    }

    private int Escape(string text, int start)
    {
        var end = start + 2;
        while (char.IsAsciiDigit(text[end])) end++;
        var number = end == start + 2 ? 0 : int.Parse(text[(start + 2)..end], CultureInfo.InvariantCulture);
        var line = _lines[_row];
        switch (text[end])
        {
            // Terminals treat 0 as 1.
            case 'A':
                _row = Math.Max(0, _row - Math.Max(1, number));
                break;
            case 'K' when number == 0:
                line.Length = Math.Min(line.Length, _column);
                break;
            case 'K' when number == 2:
                line.Clear();
                break;
            default:
                throw new NotSupportedException($"ESC{text[(start + 1)..(end + 1)]}");
        }
        return end;
    }

    private void Put(char character)
    {
        if (_column == columns) Down();
        var line = _lines[_row];
        if (line.Length <= _column) line.Append(' ', _column + 1 - line.Length);
        line[_column++] = character;
    }

    private void Down()
    {
        _column = 0;
        if (++_row == _lines.Count) _lines.Add(new());
    }
}
