using System.Text;
using Isthmus.Core.Names;

namespace Isthmus.Output;

/// <summary>
/// The standard output and error of this program. Names, values and answers of others that are printed may hold what moves the cursor or colors
/// what follows: such characters are written out (<see cref="Visible"/>). What this program itself draws goes to <see cref="Terminal.Painted"/>.
/// </summary>
internal sealed class VisibleWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => inner.Write(Visible.Lines(value.ToString()));

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    public override void Write(string? value)
    {
        // Breaks of lines as Windows writes them are breaks of lines.
        if (value is { Length: > 0 }) inner.Write(Visible.Lines(OperatingSystem.IsWindows() ? value.ReplaceLineEndings("\n") : value));
    }

    public override void WriteLine() => inner.WriteLine();

    public override void WriteLine(string? value)
    {
        Write(value);
        inner.WriteLine();
    }

    public override void Flush() => inner.Flush();
}
