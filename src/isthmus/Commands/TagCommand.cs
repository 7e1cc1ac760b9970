using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus tag</c>: names for revisions, so that an upgrade moves a tag and no label of a namespace.</summary>
internal static class TagCommand
{
    internal static Command Build() => new("tag", "Manage revision tags: label a namespace with istio.io/rev=TAG once, then move the tag to upgrade.")
    {
        BuildSet(), BuildGenerate(), BuildList(), BuildRemove(),
    };

    private static Argument<string> Name => new("tag") { Description = "Name of the tag; 'default' applies to namespaces labelled istio-injection=enabled" };

    private static Option<string?> Revision => new("--revision", "-r") { Description = "Revision that the tag points to", Required = true };

    private static Option<bool> Overwrite => new("--overwrite") { Description = "Move a tag that points to another revision" };

    private static Command BuildSet()
    {
        var (name, revision, overwrite) = (Name, Revision, Overwrite);
        var command = new Command("set", "Create a tag, or move it to another revision.") { name, revision, overwrite, ConfirmationOption.Skip() };
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var (tag, to) = (line.GetRequiredValue(name), line.GetValue(revision)!);
            var tags = new RevisionTags(client);
            foreach (var note in await tags.SetAsync(tag, to, line.GetValue(overwrite), stop)) Console.WriteLine($"  {note}");
            Console.WriteLine($"Revision tag \"{tag}\" points to control plane revision \"{to}\".");
            Console.WriteLine(tag == RevisionTags.Default
                ? "New Pods in namespaces labelled istio-injection=enabled get its sidecars."
                : $"To use it: kubectl label namespace NAMESPACE istio.io/rev={tag}");
            return 0;
        });
        return command;
    }

    private static Command BuildGenerate()
    {
        var (name, revision, overwrite) = (Name, Revision, Overwrite);
        var command = new Command("generate", "Print the objects that 'set' would create.") { name, revision, overwrite, ConfirmationOption.Skip() };
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var objects = await new RevisionTags(client).GenerateAsync(line.GetRequiredValue(name), line.GetValue(revision)!, line.GetValue(overwrite), stop);
            Console.Write(string.Join("---\n", objects.Select(YamlText.Print)));
            return 0;
        });
        return command;
    }

    private static Command BuildList()
    {
        var output = new OutputOption();
        var command = new Command("list", "List the tags, their revisions, and the namespaces that use them.") { output.Option };
        command.Aliases.Add("show");
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var tags = await new RevisionTags(client).ListAsync(stop);
            output.Write(line,
                () => new JsonArray([.. tags.Select(tag => (JsonNode)new JsonObject
                {
                    ["tag"] = tag.Name, ["revision"] = tag.Revision, ["namespaces"] = new JsonArray([.. tag.Namespaces.Select(ns => (JsonNode)ns)]),
                })]),
                () => TextTable.Write(["TAG", "REVISION", "NAMESPACES"],
                    [.. tags.Select(tag => (string[])[tag.Name, tag.Revision, string.Join(',', tag.Namespaces)])]));
            return 0;
        });
        return command;
    }

    private static Command BuildRemove()
    {
        var name = Name;
        var yes = ConfirmationOption.Skip();
        var command = new Command("remove", "Remove a tag.") { name, yes };
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var tags = new RevisionTags(client);
            var tag = await tags.FindAsync(line.GetRequiredValue(name), stop);
            if (!line.GetValue(yes) && !tag.Namespaces.IsEmpty)
            {
                Console.WriteLine($"These namespaces use the tag; new Pods in them would not get sidecars: {string.Join(", ", tag.Namespaces)}");
                if (!await Question.ConfirmAsync($"The tag {tag.Name} will be removed. Proceed?", stop)) return ExitCode.Failure;
            }
            await tags.RemoveAsync(tag, stop);
            Console.WriteLine($"Revision tag {tag.Name} removed.");
            return 0;
        });
        return command;
    }
}
