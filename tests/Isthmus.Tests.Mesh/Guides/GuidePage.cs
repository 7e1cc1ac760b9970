namespace Isthmus.Tests.Mesh.Guides;

/// <summary>One block of commands, and the lines that its output must have (<c>…</c> stands for anything).</summary>
internal sealed record GuideBlock(string Page, int Line, string Script, IReadOnlyList<string> Expected);

/// <summary>Reads the blocks of a page, and of the pages that it includes (<c>&lt;!-- run: PAGE --&gt;</c>).</summary>
internal static class GuidePage
{
    internal static IReadOnlyList<GuideBlock> Read(string folder, string page)
    {
        var blocks = new List<GuideBlock>();
        var lines = File.ReadAllLines(Path.Combine(folder, page));
        for (var i = 0; i < lines.Length; i++)
        {
            if (lines[i].StartsWith("<!-- run: ", StringComparison.Ordinal))
            {
                blocks.AddRange(Read(folder, lines[i]["<!-- run: ".Length..].Replace(" -->", "", StringComparison.Ordinal).Trim()));
                continue;
            }
            if (lines[i] is not ("```sh" or "```output")) continue;
            var (kind, begin) = (lines[i], i + 1);
            do i++; while (lines[i] != "```");
            var body = lines[begin..i];
            if (kind == "```sh") blocks.Add(new(page, begin + 1, string.Join('\n', body) + "\n", []));
            else blocks[^1] = blocks[^1] with { Expected = body };
        }
        return blocks;
    }
}
